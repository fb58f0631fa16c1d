package tpm

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

const (
	sessionHash = tpm2.TPMAlgSHA256
	nonceSize   = 16  // bytes
	sessionBits = 128 // AES-CFB: what every TPM has
)

// session returns this visit's HMAC session. It encrypts the first parameter
// into the TPM.
func (v *visit) session() (tpm2.Session, error) {
	if v.hmac != nil {
		return v.hmac, nil
	}
	s, err := v.salted(tpm2.AESEncryption(sessionBits, tpm2.EncryptIn))
	v.hmac = s
	return s, err
}

// salted starts an HMAC session that only the TPM with the storage key can
// take part in.
func (v *visit) salted(options ...tpm2.AuthOption) (tpm2.Session, error) {
	return v.start(tpm2.HMACSession, options)
}

// policy starts a policy session of the same kind. It encrypts the first
// parameter out of the TPM.
func (v *visit) policy() (tpm2.Session, error) {
	return v.start(tpm2.PolicySession, []tpm2.AuthOption{tpm2.AESEncryption(sessionBits, tpm2.EncryptOut)})
}

type starter = func(transport, tpm2.TPMIAlgHash, int, ...tpm2.AuthOption) (tpm2.Session, func() error, error)

func (v *visit) start(start starter, options []tpm2.AuthOption) (tpm2.Session, error) {
	key, err := v.storageKey()
	if err != nil {
		return nil, err
	}
	options = append(options, tpm2.Salted(key.Handle, v.device.storage.TPMTPublic))
	var s tpm2.Session
	err = attempt("StartAuthSession", func() (err error) {
		s, _, err = start(v.wire, sessionHash, nonceSize, options...)
		return err
	})
	if err != nil {
		return nil, err
	}
	v.inside = append(v.inside, s.Handle())
	return s, nil
}

// create makes an object below the storage key. sensitive is data to seal, nil
// for a key, which the TPM makes itself.
func (v *visit) create(template tpm2.TPMTPublic, sensitive []byte) (Blob, error) {
	parent, err := v.storageKey()
	if err != nil {
		return Blob{}, err
	}
	session, err := v.session()
	if err != nil {
		return Blob{}, err
	}
	command := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: parent.Handle, Name: parent.Name, Auth: session},
		InPublic:     tpm2.New2B(template),
	}
	if sensitive != nil {
		command.InSensitive.Sensitive = &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: sensitive}),
		}
	}
	r, err := run(v.wire, command)
	if err != nil {
		return Blob{}, err
	}
	a, err := parseArea(r.OutPublic.Bytes())
	if err == nil {
		err = a.like(template)
	}
	if err != nil {
		return Blob{}, classify("Create", err)
	}
	return Blob{Public: a.raw, Private: r.OutPrivate.Buffer}, nil
}

// load brings a stored object into the TPM, if it is one of template's kind.
//
// Attack: somebody who can write our files puts a key there that they know,
// with attributes that let it be known. A TPM would load it.
func (v *visit) load(b Blob, template tpm2.TPMTPublic) (tpm2.NamedHandle, error) {
	a, err := parseArea(b.Public)
	if err == nil {
		err = a.like(template)
	}
	if err == nil && (len(b.Private) == 0 || len(b.Private) > maxArea) {
		err = fmt.Errorf("tpm: private area of %d bytes, expected 1 to %d", len(b.Private), maxArea)
	}
	if err != nil {
		return tpm2.NamedHandle{}, fmt.Errorf("%w: %w", ErrBlob, err)
	}
	if h, ok := v.restore(a.name); ok {
		return tpm2.NamedHandle{Handle: h, Name: a.name}, nil
	}
	parent, err := v.storageKey()
	if err != nil {
		return tpm2.NamedHandle{}, err
	}
	session, err := v.session()
	if err != nil {
		return tpm2.NamedHandle{}, err
	}
	r, err := run(v.wire, tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: parent.Handle, Name: parent.Name, Auth: session},
		InPrivate:    tpm2.TPM2BPrivate{Buffer: b.Private},
		InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](a.raw),
	})
	// Whatever a TPM finds wrong with a parameter of Load, the blob is wrong.
	var detail tpm2.TPMFmt1Error
	if errors.As(err, &detail) {
		if parameter, _ := detail.Parameter(); parameter && !errors.Is(err, ErrBlob) {
			err = fmt.Errorf("%w: %w", ErrBlob, err)
		}
	}
	if err != nil {
		return tpm2.NamedHandle{}, err
	}
	v.inside = append(v.inside, r.ObjectHandle)
	return tpm2.NamedHandle{Handle: r.ObjectHandle, Name: a.name}, nil
}

// key is load for an object that will be wanted again.
func (v *visit) key(b Blob, template tpm2.TPMTPublic) (tpm2.NamedHandle, error) {
	h, err := v.load(b, template)
	if err == nil {
		v.save(h.Handle, h.Name)
	}
	return h, err
}

// save remembers a loaded object as the TPM gives it out. A TPM that does not
// is asked to load it each time.
func (v *visit) save(h tpm2.TPMHandle, name tpm2.TPM2BName) {
	if _, ok := v.device.saved[string(name.Buffer)]; ok {
		return
	}
	if r, err := run(v.wire, tpm2.ContextSave{SaveHandle: h}); err == nil {
		v.device.saved[string(name.Buffer)] = r.Context
	}
}

// restore loads a saved object. A TPM that was restarted, or cleared, does not
// know it any more.
//
// Nothing proves that the handle is that of the object, and nothing needs to:
// each use is authorized for the object's name.
func (v *visit) restore(name tpm2.TPM2BName) (tpm2.TPMHandle, bool) {
	saved, ok := v.device.saved[string(name.Buffer)]
	if !ok {
		return 0, false
	}
	r, err := run(v.wire, tpm2.ContextLoad{Context: saved})
	if err != nil {
		delete(v.device.saved, string(name.Buffer))
		return 0, false
	}
	v.inside = append(v.inside, r.LoadedHandle)
	return r.LoadedHandle, true
}

// use authorizes the use of an object with its empty password in this visit's
// session.
func (v *visit) use(h tpm2.NamedHandle) (tpm2.AuthHandle, error) {
	session, err := v.session()
	return tpm2.AuthHandle{Handle: h.Handle, Name: h.Name, Auth: session}, err
}

// CreateKey makes a machine key: ECDSA P-256, for SHA-256 digests.
func (d *Device) CreateKey(ctx context.Context) (Blob, error) {
	return d.create(ctx, signingTemplate(false))
}

// CreateAttestationKey makes a key that signs what the TPM says, and nothing
// else.
func (d *Device) CreateAttestationKey(ctx context.Context) (Blob, error) {
	return d.create(ctx, signingTemplate(true))
}

func (d *Device) create(ctx context.Context, template tpm2.TPMTPublic) (b Blob, err error) {
	err = d.visit(ctx, func(v *visit) (err error) {
		b, err = v.create(template, nil)
		return err
	})
	return b, err
}
