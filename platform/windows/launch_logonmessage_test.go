package windows

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"kpm/core"
)

// What the local security authority reads: both names, by pointers into the message
// itself.
func TestS4ULogonMessage(t *testing.T) {
	const address = 0x1_2345_6780
	for _, names := range [][2]string{{"bob", "PC"}, {"Bjørn Ö", "EXAMPLE"}, {"x\U0001f600", "d"}, {strings.Repeat("n", maxAccountName), "D"}} {
		message, err := s4uLogon(names[0], names[1], address)
		if err != nil {
			t.Fatal(err)
		}
		if kind, flags := binary.LittleEndian.Uint32(message), binary.LittleEndian.Uint32(message[4:]); kind != 12 || flags != 0 {
			t.Errorf("type %d, flags %d", kind, flags)
		}
		end := s4uText
		for i, want := range names {
			at := message[s4uHeader+i*s4uString:]
			size, most := int(binary.LittleEndian.Uint16(at)), int(binary.LittleEndian.Uint16(at[2:]))
			from := int(binary.LittleEndian.Uint64(at[8:]) - address)
			if size != most || from != end || from+size > len(message) {
				t.Fatalf("%q: %d bytes of %d at %d in %d", want, size, most, from, len(message))
			}
			end = from + size
			var units []uint16
			for j := from; j < from+size; j += 2 {
				units = append(units, binary.LittleEndian.Uint16(message[j:]))
			}
			if got := string(utf16.Decode(units)); got != want {
				t.Errorf("%q, expected %q", got, want)
			}
		}
		if end != len(message) {
			t.Errorf("%d bytes follow", len(message)-end)
		}
	}
	for _, names := range [][2]string{{"", "PC"}, {"bob", ""}, {"a\x00b", "PC"}, {"\xff", "PC"}, {strings.Repeat("n", maxAccountName+1), "D"}} {
		if _, err := s4uLogon(names[0], names[1], 0); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%q: %v", names, err)
		}
	}
}
