package tpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"kpm/core/port"

	"github.com/google/go-tpm/tpm2"
)

// Memory is what to keep of a TPM so as to know it again: the storage key that
// our keys lie under, and the name of the endorsement key, which survives
// clearing. Neither is secret. Who could change them could make us talk to
// another TPM, so they belong where the Blobs are.
type Memory struct {
	Storage     []byte `json:"storage"`               // public area
	Endorsement []byte `json:"endorsement,omitempty"` // name; empty if it could not be had
}

// Device is one TPM. Its methods can be called at once; one at a time has the
// TPM, with at most three objects loaded, which is what every TPM has room for
// (PC Client Platform TPM Profile, 3.1), and takes them out when it is done.
//
// Every command that uses or makes one of our objects goes in a session salted
// with the storage key (Part 1, 19.6.8): what is on the bus between processor
// and TPM can be neither read, where it is secret, nor changed.
type Device struct {
	tpm     port.TPM
	turn    chan struct{}
	memory  Memory
	storage area
	// saved are loaded objects as the TPM gave them out (Part 1, 30), by name:
	// loading them again needs no asymmetric cryptography.
	saved map[string]tpm2.TPMSContext
}

// Open takes the TPM that conn leads to, and conn with it. known is the Memory
// of the first Open; the zero Memory is for the first time, when whatever
// answers is believed. A TPM that is not that one is ErrCleared or ErrOtherTPM.
func Open(ctx context.Context, conn port.TPM, known Memory) (*Device, error) {
	d := &Device{tpm: conn, turn: make(chan struct{}, 1), memory: known, saved: map[string]tpm2.TPMSContext{}}
	if err := d.meet(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return d, nil
}

func (d *Device) meet(ctx context.Context) error {
	first := len(d.memory.Storage) == 0
	if !first {
		var err error
		if d.storage, err = parseArea(d.memory.Storage); err != nil {
			return fmt.Errorf("%w: %w", ErrBlob, err)
		}
	}
	return d.visit(ctx, func(v *visit) error {
		if _, err := v.storageKey(); err != nil {
			return err
		}
		if !first {
			return nil
		}
		d.memory.Storage = d.storage.raw
		if _, ek, err := v.endorsementKey(eccEndorsement()); err == nil {
			d.memory.Endorsement = ek.name.Buffer
		}
		return nil
	})
}

// Memory returns what to know this TPM by.
func (d *Device) Memory() Memory { return d.memory }

// Close gives the connection back, when who has the TPM now is done.
func (d *Device) Close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	return d.tpm.Close()
}

// visit calls do when it is our turn, and leaves nothing in the TPM.
func (d *Device) visit(ctx context.Context, do func(*visit) error) error {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("tpm: %w", ctx.Err())
	}
	v := &visit{device: d, wire: &wire{ctx, d.tpm}}
	defer func() {
		v.leave()
		<-d.turn
	}()
	return do(v)
}

// visit is one turn at the TPM.
type visit struct {
	*wire
	device  *Device
	storage tpm2.NamedHandle
	hmac    tpm2.Session     // the one of session, once it is started
	audit   tpm2.Session     // the one of registers
	inside  []tpm2.TPMHandle // objects and sessions to take out
}

// leave takes out what is inside, newest first, also when the caller has given
// up waiting. What cannot be taken out is lost with the connection: a resource
// manager (the kernel's, TBS) drops it there.
func (v *visit) leave() {
	w := &wire{context.WithoutCancel(v.ctx), v.tpm}
	for i := len(v.inside) - 1; i >= 0; i-- {
		_, _ = run(w, tpm2.FlushContext{FlushHandle: v.inside[i]})
	}
	v.inside = nil
}

// forget takes one object out now, to make room.
func (v *visit) forget(h tpm2.TPMHandle) error {
	for i, inside := range v.inside {
		if inside == h {
			v.inside = append(v.inside[:i:i], v.inside[i+1:]...)
			_, err := run(v.wire, tpm2.FlushContext{FlushHandle: h})
			return err
		}
	}
	return nil
}

// storageKey returns the storage key that is remembered, or on the first visit
// of all the one that is there.
func (v *visit) storageKey() (tpm2.NamedHandle, error) {
	if v.storage.Handle != 0 {
		return v.storage, nil
	}
	h, err := v.findStorage()
	if err != nil {
		return tpm2.NamedHandle{}, err
	}
	v.storage = tpm2.NamedHandle{Handle: h, Name: v.device.storage.name}
	return v.storage, nil
}

func (v *visit) findStorage() (tpm2.TPMHandle, error) {
	if a, err := v.read(storageHandle); err == nil && v.isStorage(a) {
		return storageHandle, nil
	}
	if h, ok := v.restore(v.device.storage.name); ok {
		return h, nil
	}
	for _, template := range storageTemplates() {
		h, a, err := v.primary(tpm2.TPMRHOwner, template)
		if err != nil {
			return 0, err
		}
		if v.isStorage(a) {
			v.save(h, a.name)
			return h, nil
		}
		if err := v.forget(h); err != nil {
			return 0, err
		}
	}
	return 0, v.stranger()
}

// isStorage reports whether a is the key that is remembered. If none is, the
// first that is made like a storage key is remembered.
//
// Attack: an interposer on the bus puts its own key in the storage key's place,
// and so learns what salts our sessions.
func (v *visit) isStorage(a area) bool {
	known := &v.device.storage
	if known.raw == nil && a.like(storageTemplates()[0]) == nil {
		if _, err := a.ecdsaKey(); err == nil {
			*known = a
		}
	}
	return known.raw != nil && bytes.Equal(a.raw, known.raw)
}

// stranger says what a TPM is that does not have our storage key.
func (v *visit) stranger() error {
	const op = "tpm: look for the storage key"
	if len(v.device.memory.Endorsement) == 0 {
		return fmt.Errorf("%s: %w, or %w", op, ErrCleared, ErrOtherTPM)
	}
	_, ek, err := v.endorsementKey(eccEndorsement())
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w: %w", op, ErrCleared, err)
	case bytes.Equal(ek.name.Buffer, v.device.memory.Endorsement):
		return fmt.Errorf("%s: %w", op, ErrCleared)
	}
	return fmt.Errorf("%s: %w", op, ErrOtherTPM)
}

// read returns the public area of the object at a handle.
func (v *visit) read(h tpm2.TPMHandle) (area, error) {
	r, err := run(v.wire, tpm2.ReadPublic{ObjectHandle: h})
	if err != nil {
		return area{}, err
	}
	return parseArea(r.OutPublic.Bytes())
}

// primary makes a primary key of a hierarchy whose password is empty.
func (v *visit) primary(hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic) (tpm2.TPMHandle, area, error) {
	r, err := run(v.wire, tpm2.CreatePrimary{PrimaryHandle: hierarchy, InPublic: tpm2.New2B(template)})
	if err != nil {
		return 0, area{}, err
	}
	v.inside = append(v.inside, r.ObjectHandle)
	a, err := parseArea(r.OutPublic.Bytes())
	if err == nil {
		err = a.like(template)
	}
	if err != nil {
		return 0, area{}, classify("CreatePrimary", err)
	}
	return r.ObjectHandle, a, nil
}
