# SPDX-License-Identifier: GPL-2.0
#
# Connections of each proxy, and broken and unopened connections, over time; `kind` is svg or png. The names of the events are
# above the curves, in an area of their own.

if (kind eq "svg") {
    set terminal svg size 1200,800 dynamic font "DejaVu Sans,12" background rgb "white"
} else {
    set terminal png size 1200,800 font "DejaVu Sans,11"
}
set output "connections." . kind
set datafile separator tab
stats "timeline.tsv" skip 1 using 1 nooutput
set xrange [0:STATS_max]
set grid ytics lc rgb "#dddddd"
set key outside right top
set multiplot
set lmargin at screen 0.07
set rmargin at screen 0.86

set tmargin at screen 0.76
set bmargin at screen 0.40
set label 1 "Connections of each proxy" at screen 0.01, screen 0.97 font ",14"
set yrange [0:*]
set format x ""
load "marks.gnuplot"
plot "timeline.tsv" using 1:2 skip 1 with lines lw 2 lc rgb "#0072b2" title "proxy1", \
     "" using 1:3 skip 1 with lines lw 2 lc rgb "#d55e00" title "proxy2", \
     "" using 1:4 skip 1 with lines lw 2 lc rgb "#009e73" title "proxy3"

unset label
set tmargin at screen 0.33
set bmargin at screen 0.08
set label 1 "Broken connections and failed attempts to connect, so far" at screen 0.01, screen 0.36 font ",14"
set format x "%g"
set xlabel "seconds"
set yrange [0:*]
plot "timeline.tsv" using 1:5 skip 1 with steps lw 2 lc rgb "#cc0000" title "broken", \
     "" using 1:6 skip 1 with steps lw 2 dt 2 lc rgb "#7b3294" title "not opened", \
     "" using 1:7 skip 1 with steps lw 2 dt 4 lc rgb "#e69f00" title "held"
unset multiplot
