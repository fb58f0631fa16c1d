package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The page is what the text format says, to the byte.
func TestPage(t *testing.T) {
	var p Page
	p.Counter("a_total", "How many\nof \\ a", 3)
	p.Gauge("b", "Some", 0.5)
	p.Counters("c_total", "By kind", "kind", map[string]uint64{"y": 2, "x\"\\\n": 1})
	p.Gauges("d", "By state", "state", map[string]float64{"up": 1})
	p.Pairs("e_total", "By two", Pair{"one", "two"}, map[Pair]uint64{{"b", "a"}: 2, {"a", "b"}: 1, {"a", "a"}: 7})
	const want = `# HELP a_total How many\nof \\ a
# TYPE a_total counter
a_total 3
# HELP b Some
# TYPE b gauge
b 0.5
# HELP c_total By kind
# TYPE c_total counter
c_total{kind="x\"\\\n"} 1
c_total{kind="y"} 2
# HELP d By state
# TYPE d gauge
d{state="up"} 1
# HELP e_total By two
# TYPE e_total counter
e_total{one="a",two="a"} 7
e_total{one="a",two="b"} 1
e_total{one="b",two="a"} 2
`
	if got := string(p.Text()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Buckets hold everything up to their bound, the bound included, and the last
// one everything.
func TestHistograms(t *testing.T) {
	var h Histogram
	var before Page
	before.Histograms("h_seconds", "Of nothing", "", map[string]Distribution{"": h.Seen()})
	for _, d := range []time.Duration{-time.Second, 500 * time.Microsecond, 501 * time.Microsecond, 2 * time.Second, time.Hour} {
		h.Observe(d)
	}
	var p Page
	p.Histograms("h_seconds", "By phase", "phase", map[string]Distribution{"x": h.Seen()})
	for page, lines := range map[*Page][]string{
		&before: {`h_seconds_bucket{le="0.0005"} 0`, `h_seconds_bucket{le="+Inf"} 0`, `h_seconds_sum 0`, `h_seconds_count 0`},
		&p: {
			`h_seconds_bucket{phase="x",le="0.0005"} 2`, `h_seconds_bucket{phase="x",le="0.001"} 3`, `h_seconds_bucket{phase="x",le="1"} 3`,
			`h_seconds_bucket{phase="x",le="2.5"} 4`, `h_seconds_bucket{phase="x",le="300"} 4`, `h_seconds_bucket{phase="x",le="+Inf"} 5`,
			`h_seconds_sum{phase="x"} 3602.001001`, `h_seconds_count{phase="x"} 5`,
		},
	} {
		samples := map[string]bool{}
		for line := range strings.Lines(string(page.Text())) {
			samples[strings.TrimSpace(line)] = true
		}
		for _, want := range lines {
			if !samples[want] {
				t.Errorf("no line %q in\n%s", want, page.Text())
			}
		}
	}
}

// A programming error that makes keys of what others choose fills no memory.
func TestCountersAreBounded(t *testing.T) {
	var c Counters[string]
	for i := range 10 * maxKeys {
		c.Add(fmt.Sprint(i))
		c.Add("0")
	}
	if all := c.All(); len(all) != maxKeys || all["0"] != 10*maxKeys+1 {
		t.Errorf("%d keys, %d of the first", len(all), all["0"])
	}
}
