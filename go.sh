cd /tmp/h1
timeout 60 ./weir experiment filter-cost --out fc > fc.txt 2>&1
timeout 30 ./weir experiment runs --out runs > runs.txt 2>&1
timeout 90 ./weir capacity --invalid 0,99 --searches 2 --cost-runs 2 --first-trial 50ms --trial 100ms --sum 200ms --width 20 --out cap > cap.txt 2>&1
