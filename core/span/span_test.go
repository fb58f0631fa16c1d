package span

import (
	"errors"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		text string
		want time.Duration
		err  error
	}{
		{"90s", 90 * time.Second, nil},
		{"30m", 30 * time.Minute, nil},
		{"1h30m", 90 * time.Minute, nil},
		{"2d", 48 * time.Hour, nil},
		{"30d", Max, nil},
		{"30", 0, ErrUnit},
		{"0", 0, ErrUnit},
		{"1h30", 0, ErrUnit},
		{"0m", 0, ErrZero},
		{"0h0s", 0, ErrZero},
		{"31d", 0, ErrLong},
		{"30d1s", 0, ErrLong},
		{"999999999d", 0, ErrLong},
		{"9999999999999999999d", 0, ErrShape},
		{"", 0, ErrShape},
		{"m", 0, ErrShape},
		{"-5m", 0, ErrShape},
		{"1.5h", 0, ErrShape},
		{"0x10m", 0, ErrShape},
		{"30 m", 0, ErrShape},
		{"30M", 0, ErrShape},
		{"5m1h", 0, ErrShape},
		{"5m5m", 0, ErrShape},
	} {
		if got, err := Parse(tc.text); got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("Parse(%q): got %v, %v; want %v, %v", tc.text, got, err, tc.want, tc.err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"30m", "1d2h3m4s", "0", "99999999999d", "1h30"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		if d < time.Second || d > Max {
			t.Fatalf("Parse(%q) is %v", text, d)
		}
		if again, err := Parse(Text(d)); err != nil || again != d {
			t.Fatalf("Parse(%q) is %v, written %q, read again %v, %v", text, d, Text(d), again, err)
		}
	})
}
