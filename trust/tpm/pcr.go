package tpm

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

const (
	pcrCount = 24 // PC Client Platform TPM Profile, 4.6.2
	// maxReads is how often registers are read that change meanwhile.
	maxReads = 4
)

// PCRs are platform configuration registers of the SHA-256 bank, by index, 0 to
// 23: what was measured since the machine was started.
type PCRs map[uint][sha256.Size]byte

// Digest is what a quote and a policy hold of the registers: the SHA-256 of
// their values in ascending order (Part 1, 17.5).
func (p PCRs) Digest() [sha256.Size]byte {
	h := sha256.New()
	for _, index := range slices.Sorted(maps.Keys(p)) {
		value := p[index]
		h.Write(value[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// selection selects registers of the SHA-256 bank. indices are in ascending
// order, each once.
func selection(indices []uint) (tpm2.TPMLPCRSelection, error) {
	for i, index := range indices {
		if index >= pcrCount || i > 0 && indices[i-1] >= index {
			return tpm2.TPMLPCRSelection{}, fmt.Errorf("tpm: registers %v, expected numbers from 0 to %d in ascending order", indices, pcrCount-1)
		}
	}
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(indices...)},
	}}, nil
}

// registers reads registers in an audit session: nobody on the bus can say that
// the machine was started otherwise than it was.
func (v *visit) registers(indices []uint) (PCRs, error) {
	if _, err := selection(indices); err != nil {
		return nil, err
	}
	if v.audit == nil {
		session, err := v.salted(tpm2.Audit())
		if err != nil {
			return nil, err
		}
		v.audit = session
	}
	for range maxReads {
		values, whole, err := v.readRegisters(v.audit, indices)
		if err != nil || whole {
			return values, err
		}
	}
	return nil, fmt.Errorf("tpm: read registers: they change all the time: %w", ErrBusy)
}

// readRegisters reports whether nothing changed while it read; one command
// returns eight registers at most (Part 2, 10.9.7).
func (v *visit) readRegisters(session tpm2.Session, indices []uint) (values PCRs, whole bool, err error) {
	values = PCRs{}
	var counter uint32
	for part := range slices.Chunk(indices, 8) {
		selected, err := selection(part)
		if err != nil {
			return nil, false, err
		}
		r, err := run(v.wire, tpm2.PCRRead{PCRSelectionIn: selected}, session)
		if err != nil {
			return nil, false, err
		}
		if len(r.PCRValues.Digests) != len(part) {
			return nil, false, fmt.Errorf("tpm: read registers %v: the TPM returns %d; it has no SHA-256 bank: %w",
				part, len(r.PCRValues.Digests), ErrUnusable)
		}
		for i, digest := range r.PCRValues.Digests {
			if len(digest.Buffer) != sha256.Size {
				return nil, false, fmt.Errorf("tpm: read register %d: %d bytes, expected 32: %w", part[i], len(digest.Buffer), ErrTampered)
			}
			values[part[i]] = [sha256.Size]byte(digest.Buffer)
		}
		if len(values) > len(part) && r.PCRUpdateCounter != counter {
			return nil, false, nil
		}
		counter = r.PCRUpdateCounter
	}
	return values, true, nil
}
