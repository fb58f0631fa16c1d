package tpm_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"kpm/core/port"
	"kpm/trust/tpm"
)

// bus is a TPM with somebody between it and us.
type bus struct {
	port.TPM

	seen    [][]byte
	instead func(command tpm2.TPMCC) []byte // nil: the TPM is asked
	change  func(response []byte) []byte
}

func (b *bus) Send(command []byte) ([]byte, error) {
	if b.instead != nil {
		if response := b.instead(commandCode(command)); response != nil {
			return response, nil
		}
	}
	response, err := b.TPM.Send(command)
	b.seen = append(b.seen, bytes.Clone(command), bytes.Clone(response))
	if err == nil && b.change != nil {
		response = b.change(response)
	}
	return response, err
}

func commandCode(command []byte) tpm2.TPMCC {
	return tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))
}

func (b *bus) hasSeen(secret []byte) bool {
	for _, message := range b.seen {
		if bytes.Contains(message, secret) {
			return true
		}
	}
	return false
}

// Somebody who listens does not learn what is sealed, neither when it is sealed
// nor when it comes back. Without a session that encrypts they do, which shows
// that the test would notice.
func TestSecretsDoNotCrossTheBus(t *testing.T) {
	d := newMachine(t)
	listener := &bus{TPM: connect(t, d.path)}
	heard := open(t, listener, d.Memory())
	secret := []byte("what nobody is to know")
	sealed := must[tpm.Blob](t)(heard.Seal(t.Context(), secret, nil))
	if got := must[[]byte](t)(heard.Unseal(t.Context(), sealed, nil)); !bytes.Equal(got, secret) {
		t.Fatalf("%q", got)
	}
	if listener.hasSeen(secret) {
		t.Error("the secret was on the bus")
	}

	conn := &bus{TPM: connect(t, d.path)}
	parent, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
	item, err := tpm2.Load{
		ParentHandle: tpm2.NamedHandle{Handle: parent.ObjectHandle, Name: parent.Name},
		InPrivate:    tpm2.TPM2BPrivate{Buffer: sealed.Private},
		InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](sealed.Public),
	}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpm2.Unseal{ItemHandle: tpm2.AuthHandle{
		Handle: item.ObjectHandle, Name: item.Name,
		Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(t transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
			_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCUnseal}.Execute(t)
			return err
		}),
	}}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !conn.hasSeen(secret) {
		t.Error("the secret was not on the bus either when nothing protected it: this test proves nothing")
	}
}

// Encryption helps against somebody who listens only if the session's key is
// not made of what they hear. A salt for the storage key is not.
func TestEverySessionIsSalted(t *testing.T) {
	d := newMachine(t)
	for name, do := range jobs(t, d) {
		listener := &bus{TPM: connect(t, d.path)}
		heard := open(t, listener, d.Memory())
		if right, err := do(heard); !right || err != nil {
			t.Fatalf("%s: %v, %v", name, right, err)
		}
		sessions := 0
		for _, message := range listener.seen {
			if binary.BigEndian.Uint16(message) != uint16(tpm2.TPMSTNoSessions) || commandCode(message) != tpm2.TPMCCStartAuthSession {
				continue
			}
			sessions++
			// tpmKey, bind, nonceCaller, encryptedSalt (Part 3, 11.1)
			key := binary.BigEndian.Uint32(message[10:])
			salt := message[18+2+binary.BigEndian.Uint16(message[18:]):]
			if key == uint32(tpm2.TPMRHNull) || binary.BigEndian.Uint16(salt) < 32 {
				t.Errorf("%s: session %d is not salted: %x", name, sessions, message)
			}
		}
		if sessions == 0 {
			t.Errorf("%s: no session", name)
		}
	}
}

// job is a use of the TPM, and whether its result is right.
type job func(d *tpm.Device) (right bool, err error)

func jobs(t *testing.T, d machine) map[string]job {
	s, key := signer(t, d)
	public := s.Public().(*ecdsa.PublicKey)
	secret := []byte("what nobody is to change")
	sealed := must[tpm.Blob](t)(d.Seal(t.Context(), secret, []uint{16}))
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	n := nonce(t)
	signs := func(d *tpm.Device, key tpm.Blob) (signature []byte, err error) {
		s, err := d.Signer(key)
		if err != nil {
			return nil, err
		}
		return s.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	return map[string]job{
		"sign": func(d *tpm.Device) (bool, error) {
			signature, err := signs(d, key)
			return ecdsa.VerifyASN1(public, digest[:], signature), err
		},
		"unseal": func(d *tpm.Device) (bool, error) {
			got, err := d.Unseal(t.Context(), sealed, []uint{16})
			return bytes.Equal(got, secret), err
		},
		"create": func(changed *tpm.Device) (bool, error) {
			key, err := changed.CreateKey(t.Context())
			if err != nil {
				return false, err
			}
			_, err = signs(d.Device, key) // the TPM itself knows the key
			return err == nil, nil
		},
		"seal": func(changed *tpm.Device) (bool, error) {
			sealed, err := changed.Seal(t.Context(), secret, []uint{16})
			if err != nil {
				return false, err
			}
			got, err := d.Unseal(t.Context(), sealed, []uint{16})
			return err == nil && bytes.Equal(got, secret), nil
		},
		"quote": func(d *tpm.Device) (bool, error) {
			said, values, err := d.Quote(t.Context(), ak, n, []uint{0, 16})
			return err == nil && tpm.VerifyQuote(ak.Public, said, n, values) == nil, err
		},
		"certify": func(d *tpm.Device) (bool, error) {
			said, err := d.Certify(t.Context(), ak, key, n)
			return err == nil && tpm.VerifyCertify(ak.Public, said, n, key.Public) == nil, err
		},
	}
}

// Somebody who changes a byte of an answer gets nothing accepted that is not
// what the TPM said, wherever the byte is.
func TestAnswersThatAreChanged(t *testing.T) {
	d := newMachine(t)
	between := &bus{TPM: connect(t, d.path)}
	count := 0
	for name, do := range jobs(t, d) {
		for n, more := 0, true; more; n++ { // the n-th answer of the job
			for at, inside := n%3, true; inside; at += 29 { // its at-th byte
				// What was accepted before is not to help: everything is new.
				between.change = nil
				changed := must[*tpm.Device](t)(tpm.Open(t.Context(), between, d.Memory()))
				number := 0
				inside = false
				between.change = func(response []byte) []byte {
					if number++; number-1 == n && at < len(response) {
						inside = true
						response[at] ^= 0x41
					}
					return response
				}
				right, err := do(changed)
				if err == nil && !right {
					t.Errorf("%s: answer %d, byte %d: a wrong result is accepted", name, n, at)
				}
				more = number > n
				count++
				flush(t, between.TPM)
			}
		}
	}
	t.Logf("%d changes", count)
}

// flush takes out what a device lost sight of.
func flush(t *testing.T, conn port.TPM) {
	t.Helper()
	for _, first := range []uint32{0x80000000, 0x02000000, 0x03000000} {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 20}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
		list, err := r.CapabilityData.Data.Handles()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range list.Handle {
			if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(conn); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Somebody who changes what we ask for gets nothing done that we did not ask for.
func TestQuestionsThatAreChanged(t *testing.T) {
	d := newMachine(t)
	between := &rewriter{TPM: connect(t, d.path)}
	other := bytes.Repeat([]byte{7}, 32)
	s, key := signer(t, d)
	sealed := must[tpm.Blob](t)(d.Seal(t.Context(), []byte("secret"), nil))
	changed := open(t, between, d.Memory())
	for name, c := range map[string]struct {
		command tpm2.TPMCC
		at      int // from the end
	}{"the digest to sign": {tpm2.TPMCCSign, 8 + 10}, "the item to unseal": {tpm2.TPMCCUnseal, 4}} {
		between.command, between.at = c.command, c.at
		signature, err := must[*tpm.Signer](t)(changed.Signer(key)).Sign(rand.Reader, digest[:], crypto.SHA256)
		if c.command == tpm2.TPMCCSign && (err == nil || ecdsa.VerifyASN1(s.Public().(*ecdsa.PublicKey), other, signature)) {
			t.Errorf("%s: %x, %v", name, signature, err)
		}
		got, err := changed.Unseal(t.Context(), sealed, nil)
		if c.command == tpm2.TPMCCUnseal && err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// rewriter changes a byte of each command of one kind.
type rewriter struct {
	port.TPM
	command tpm2.TPMCC
	at      int
}

func (r *rewriter) Send(command []byte) ([]byte, error) {
	if commandCode(command) == r.command {
		command = bytes.Clone(command)
		command[len(command)-r.at] ^= 1
	}
	return r.TPM.Send(command)
}

// Somebody who puts a key of their own in the storage key's place could read
// every session. The key is known.
func TestAStorageKeyThatIsReplaced(t *testing.T) {
	d, theirs := newMachine(t), newMachine(t)
	between := &bus{TPM: connect(t, d.path)}
	real, forged := d.Memory().Storage, theirs.Memory().Storage
	between.change = func(response []byte) []byte {
		return bytes.ReplaceAll(response, real, forged)
	}
	if _, err := tpm.Open(t.Context(), between, d.Memory()); !errors.Is(err, tpm.ErrCleared) {
		t.Errorf("replaced from the beginning: %v", err)
	}
	between.change = nil
	open := open(t, between, d.Memory())
	s, _ := signer(t, machine{open, d.path})
	checkSigns(t, s)
	// Everything is now answered by a TPM of theirs.
	between.TPM = connect(t, theirs.path)
	if signature, err := s.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, tpm.ErrOtherTPM) {
		t.Errorf("another TPM answers: %x, %v", signature, err)
	}
}

// On the first day there is nothing to know a TPM by. What somebody then put in
// the storage key's place is noticed on the first day on which they do not.
func TestAStorageKeyThatIsReplacedOnTheFirstDay(t *testing.T) {
	d, theirs := newMachine(t), newMachine(t)
	first := open(t, connect(t, theirs.path), tpm.Memory{})
	if _, err := tpm.Open(t.Context(), connect(t, d.path), first.Memory()); !errors.Is(err, tpm.ErrOtherTPM) {
		t.Errorf("%v", err)
	}
	// They cannot use the TPM behind them to pass for it: the session's salt is
	// not for it.
	between := &bus{TPM: connect(t, d.path)}
	real, forged := d.Memory().Storage, theirs.Memory().Storage
	between.change = func(response []byte) []byte {
		return bytes.ReplaceAll(response, real, forged)
	}
	fooled, err := tpm.Open(t.Context(), between, tpm.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := fooled.CreateKey(t.Context()); err == nil {
		t.Errorf("a key is made: %x", key.Public)
	}
}

// A TPM may be busy for a while, and may stay so.
func TestABusyTPM(t *testing.T) {
	d := newMachine(t)
	busy := &bus{TPM: connect(t, d.path)}
	for code, want := range map[tpm2.TPMRC]error{
		tpm2.TPMRCRetry: nil, tpm2.TPMRCYielded: nil, tpm2.TPMRCTesting: nil,
		tpm2.TPMRCLockout: tpm.ErrLockout, tpm2.TPMRCObjectMemory: tpm.ErrBusy, tpm2.TPMRCFailure: tpm.ErrUnusable,
		tpm2.TPMRCAuthFail: tpm.ErrRefusedAuth, tpm2.TPMRCIntegrity: tpm.ErrBlob,
	} {
		device := open(t, busy, d.Memory())
		times := 3
		busy.instead = func(command tpm2.TPMCC) []byte {
			if times == 0 || command != tpm2.TPMCCCreate {
				return nil
			}
			times--
			return answer(code)
		}
		_, err := device.CreateKey(t.Context())
		if want == nil && err != nil || !errors.Is(err, want) {
			t.Errorf("%v: %v, expected %v", code, err, want)
		}
	}
}

// answer is a response without parameters.
func answer(code tpm2.TPMRC) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(tpm2.TPMSTNoSessions))
	b = binary.BigEndian.AppendUint32(b, 10)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}
