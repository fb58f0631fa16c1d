package tpm

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"
)

// Info is what a TPM says of itself, unsigned.
type Info struct {
	Manufacturer string `json:"manufacturer"` // TCG vendor id, as "INTC"
	Vendor       string `json:"vendor"`       // the maker's own words
	Firmware     string `json:"firmware"`     // two 32-bit halves, dotted decimal
	Revision     string `json:"revision"`     // of the specification, as "1.38"
	Lockout      bool   `json:"lockout"`      // after too many wrong passwords
}

// Info asks the TPM what it is (Part 2, 6.13).
func (d *Device) Info(ctx context.Context) (Info, error) {
	found := map[tpm2.TPMPT]uint32{}
	err := d.visit(ctx, func(v *visit) error {
		for _, from := range []tpm2.TPMPT{tpm2.TPMPTFamilyIndicator, tpm2.TPMPTPermanent} {
			if err := v.properties(from, found); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Info{}, err
	}
	firmware := found[tpm2.TPMPTFirmwareVersion1]
	more := found[tpm2.TPMPTFirmwareVersion2]
	return Info{
		Manufacturer: text(found[tpm2.TPMPTManufacturer]),
		Vendor: text(found[tpm2.TPMPTVendorString1], found[tpm2.TPMPTVendorString2],
			found[tpm2.TPMPTVendorString3], found[tpm2.TPMPTVendorString4]),
		Firmware: fmt.Sprintf("%d.%d.%d.%d", firmware>>16, firmware&0xffff, more>>16, more&0xffff),
		Revision: fmt.Sprintf("%d.%02d", found[tpm2.TPMPTRevision]/100, found[tpm2.TPMPTRevision]%100),
		Lockout:  found[tpm2.TPMPTPermanent]&inLockout != 0,
	}, nil
}

// inLockout is a bit of TPMA_PERMANENT (Part 2, 8.6).
const inLockout = 1 << 9

// properties reads the first properties of a group.
func (v *visit) properties(from tpm2.TPMPT, into map[tpm2.TPMPT]uint32) error {
	r, err := run(v.wire, tpm2.GetCapability{
		Capability: tpm2.TPMCapTPMProperties, Property: uint32(from), PropertyCount: 32,
	})
	if err != nil {
		return err
	}
	return attempt("GetCapability", func() error {
		list, err := r.CapabilityData.Data.TPMProperties()
		if err != nil {
			return err
		}
		for _, p := range list.TPMProperty {
			into[p.Property] = p.Value
		}
		return nil
	})
}

// text is the printable ASCII in property values, four characters each.
func text(values ...uint32) string {
	var b strings.Builder
	for _, value := range values {
		for _, c := range binary.BigEndian.AppendUint32(nil, value) {
			if c >= ' ' && c < 0x7f {
				b.WriteByte(c)
			}
		}
	}
	return strings.TrimSpace(b.String())
}
