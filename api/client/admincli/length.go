package admincli

import (
	"strconv"
	"strings"
	"time"

	"kpm/core/span"
)

// length is a flag for a span of time of any length, written with a unit as in
// policies; days of more than 30 are taken too, since nothing is given for so long.
// 0 means what the flag says that it means.
type length struct{ to *time.Duration }

func (l length) String() string {
	if l.to == nil || *l.to == 0 {
		return "0"
	}
	return span.Text(*l.to)
}

func (l length) Set(text string) (err error) {
	*l.to, err = readLength(text)
	return err
}

func (length) Type() string { return "time" }

// readLength reads what length does. Errors are those of span.Parse.
func readLength(text string) (time.Duration, error) {
	d, err := span.Parse(text)
	if err == nil {
		return d, nil
	}
	if days, is := strings.CutSuffix(text, "d"); is {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	if d, fault := time.ParseDuration(text); fault == nil { // "0", "1.5h", "2160h"
		return d, nil
	}
	return 0, err
}
