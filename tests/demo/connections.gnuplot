# SPDX-License-Identifier: GPL-2.0
#
# Connections of each proxy and connections broken, over time; `kind` is svg or png.

if (kind eq "svg") {
    set terminal svg size 1200,720 dynamic font "DejaVu Sans,12" background rgb "white"
} else {
    set terminal png size 1200,720 font "DejaVu Sans,11"
}
set output "connections." . kind
set datafile separator tab
stats "timeline.tsv" skip 1 using 1 nooutput
set xrange [0:STATS_max]
set grid ytics lc rgb "#dddddd"
set key outside right top
set multiplot
set lmargin at screen 0.07
set rmargin at screen 0.88

set origin 0, 0.36
set size 1, 0.64
set title "Connections of each proxy"
set yrange [0:*]
set format x ""
load "marks.gnuplot"
plot "timeline.tsv" using 1:2 skip 1 with lines lw 2 lc rgb "#0072b2" title "proxy1", \
     "" using 1:3 skip 1 with lines lw 2 lc rgb "#d55e00" title "proxy2", \
     "" using 1:4 skip 1 with lines lw 2 lc rgb "#009e73" title "proxy3"

unset label
set origin 0, 0
set size 1, 0.36
set title "Connections broken, or not opened, so far"
set format x "%g"
set xlabel "seconds"
set yrange [-1:*]
plot "timeline.tsv" using 1:5 skip 1 with steps lw 2 lc rgb "#cc0000" title "broken"
unset multiplot
