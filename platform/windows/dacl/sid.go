package dacl

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// SID names somebody, as entries of lists have it ([MS-DTYP], section 2.4.2.2).
type SID []byte

// Logon reports whether it is that of one logon (S-1-5-5-X-Y), which nobody else has and
// nobody gets again before the machine is started anew.
func (s SID) Logon() bool {
	return len(s) == shortestSID+12 && binary.BigEndian.Uint64(s)&0xffff_ffff_ffff == 5 && binary.LittleEndian.Uint32(s[8:]) == 5
}

// ParseSID reads the form S-1-5-21-1-2-3-1001.
func ParseSID(text string) (SID, error) {
	parts := strings.Split(text, "-")
	if len(parts) < 3 || len(parts) > 3+maxSubs || parts[0] != "S" || parts[1] != "1" {
		return nil, fmt.Errorf("%q is no SID, such as S-1-5-21-1-2-3-1001", text)
	}
	authority, err := strconv.ParseUint(parts[2], 10, 48)
	if err != nil {
		return nil, fmt.Errorf("%q is no SID: %w", text, err)
	}
	sid := binary.BigEndian.AppendUint64(nil, authority)
	sid[0], sid[1] = 1, byte(len(parts)-3)
	for _, part := range parts[3:] {
		sub, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no SID: %w", text, err)
		}
		sid = binary.LittleEndian.AppendUint32(sid, uint32(sub))
	}
	return sid, nil
}
