package windows

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"kpm/core"
)

// s4uLogon asks for a user's token without a password: MSV1_0_S4U_LOGON of the
// machine's own accounts and KERB_S4U_LOGON of a domain's, which look the same
// (learn.microsoft.com): a message type, flags, two UNICODE_STRINGs; then their text,
// which must lie in the same piece of memory.
const (
	s4uMessage     = 12 // MsV1_0S4ULogon, KerbS4ULogon
	s4uHeader      = 8
	s4uString      = 16 // lengths in bytes, padding, pointer
	s4uText        = s4uHeader + 2*s4uString
	maxAccountName = 512 // UTF-16 units, more than any name has
)

// s4uLogon returns the message as it lies at an address. Pointers have 64 bits.
func s4uLogon(name, domain string, address uint64) ([]byte, error) {
	message := binary.LittleEndian.AppendUint32(nil, s4uMessage)
	message = binary.LittleEndian.AppendUint32(message, 0)
	var all []byte
	for _, s := range []string{name, domain} {
		units := utf16.Encode([]rune(s))
		if !text(s) || len(units) == 0 || len(units) > maxAccountName {
			return nil, fmt.Errorf("the account name %q: %w", s, core.ErrNoAccount)
		}
		size := uint16(2 * len(units))
		message = binary.LittleEndian.AppendUint16(message, size)
		message = binary.LittleEndian.AppendUint16(message, size)
		message = binary.LittleEndian.AppendUint32(message, 0)
		message = binary.LittleEndian.AppendUint64(message, address+s4uText+uint64(len(all)))
		for _, unit := range units {
			all = binary.LittleEndian.AppendUint16(all, unit)
		}
	}
	return append(message, all...), nil
}
