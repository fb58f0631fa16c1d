package enrollment

import (
	"bytes"
	"strings"
	"testing"

	"rsc.io/qr"
)

// What is drawn, read back by half blocks, is the code.
func TestTheDrawnCodeIsTheCode(t *testing.T) {
	code, err := qr.Encode("otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ", qr.M)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	draw(&out, code)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for y := range code.Size {
		row := []rune(lines[(y+quiet)/2])
		for x := range code.Size {
			upper := (y+quiet)%2 == 0
			light := map[rune][2]bool{'\u2588': {true, true}, '\u2580': {true, false}, '\u2584': {false, true}}[row[x+quiet]]
			if light[map[bool]int{true: 0, false: 1}[upper]] == code.Black(x, y) {
				t.Fatalf("at %d, %d", x, y)
			}
		}
	}
	if len(lines) != (code.Size+2*quiet+1)/2 || len([]rune(lines[0])) != code.Size+2*quiet {
		t.Errorf("%d lines of %d", len(lines), len([]rune(lines[0])))
	}
}
