package identity

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"kpm/core/port"
	"kpm/trust/tpm"
)

// maxAttestation bounds an Attestation in JSON, in bytes.
const maxAttestation = 128 << 10

// attestationVersion is that of the document's form.
const attestationVersion = 1

// Attestation is what a registration server needs to believe that the machine
// key is in a TPM, and in which. Public areas are TPMT_PUBLIC, statements
// TPMS_ATTEST, signatures TPMT_SIGNATURE, as in part 2 of the TPM 2.0 Library
// Specification; binary members are base64, unless they are Hex.
//
// By itself it proves that the attestation key has signed the machine key and
// the registers. That the attestation key is in the TPM that the
// endorsement certificate is about, a Challenge proves.
type Attestation struct {
	Version int `json:"version"` // 1
	// Nonce is the server's, 16 to 32 bytes. It is in both statements.
	Nonce Hex `json:"nonce"`
	// MachineKey and AttestationKey are public areas. Both are fixed to the TPM
	// and made by it; the attestation key is restricted to statements of the TPM.
	MachineKey     []byte `json:"machineKey"`
	AttestationKey []byte `json:"attestationKey"`
	// EndorsementKey is the public area of the key that the TPM was born with,
	// EndorsementCertificate its maker's word on it, X.509 DER, if the TPM has it.
	EndorsementKey         []byte `json:"endorsementKey"`
	EndorsementCertificate []byte `json:"endorsementCertificate,omitempty"`
	// Certification states that the TPM holds the machine key, Quote that its
	// registers (SHA-256 bank) have the values in Registers.
	Certification tpm.Statement `json:"certification"`
	Quote         tpm.Statement `json:"quote"`
	Registers     map[uint]Hex  `json:"registers"`
	// Host and TPM are what machine and TPM say of themselves. Nothing proves it.
	Host string   `json:"host"`
	TPM  tpm.Info `json:"tpm"`
}

// Hex is bytes in lower-case hex.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// AttestedRegisters are the PCRs that an Attestation quotes: firmware, its
// settings, boot loader, Secure Boot, kernel (PC Client Platform Firmware
// Profile, 3.3.4; Linux TPM PCR Registry).
func AttestedRegisters() []uint { return []uint{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14} }

// Attest makes an Attestation for a server's nonce, 16 to 32 bytes. A key in a
// file has no TPM to attest to it: that is port.ErrNoTPM.
func (i *Identity) Attest(ctx context.Context, nonce []byte) (Attestation, error) {
	var a Attestation
	if i.device == nil {
		return a, fmt.Errorf("identity: attest: the machine key is in a file, and no TPM can attest to it: %w", port.ErrNoTPM)
	}
	objects := i.record.TPM
	fail := func(err error) (Attestation, error) { return Attestation{}, fmt.Errorf("identity: attest: %w", err) }
	endorsement, err := i.device.Endorsement(ctx)
	if err != nil {
		return fail(err)
	}
	certification, err := i.device.Certify(ctx, objects.Attestation, objects.Key, nonce)
	if err != nil {
		return fail(err)
	}
	quote, registers, err := i.device.Quote(ctx, objects.Attestation, nonce, AttestedRegisters())
	if err != nil {
		return fail(err)
	}
	info, err := i.device.Info(ctx)
	if err != nil {
		return fail(err)
	}
	a = Attestation{
		Version: attestationVersion, Nonce: nonce,
		MachineKey: objects.Key.Public, AttestationKey: objects.Attestation.Public,
		EndorsementKey: endorsement.Public, EndorsementCertificate: endorsement.Certificate,
		Certification: certification, Quote: quote, Registers: map[uint]Hex{},
		Host: i.chain[0].Subject.CommonName, TPM: info,
	}
	for index, value := range registers {
		a.Registers[index] = value[:]
	}
	return a, nil
}

// Activate answers a registration server's Challenge with the secret in it. The
// TPM does so only if the Challenge is for its endorsement key and for our
// attestation key.
func (i *Identity) Activate(ctx context.Context, challenge []byte) ([]byte, error) {
	if i.device == nil {
		return nil, fmt.Errorf("identity: activate: the machine key is in a file: %w", port.ErrNoTPM)
	}
	c, err := parseChallenge(challenge)
	if err != nil {
		return nil, fmt.Errorf("identity: activate: %w", err)
	}
	endorsement, err := i.device.Endorsement(ctx)
	if err != nil {
		return nil, fmt.Errorf("identity: activate: %w", err)
	}
	answer, err := i.device.Activate(ctx, i.record.TPM.Attestation, endorsement.Public, c.Credential, c.Secret)
	if err != nil {
		return nil, fmt.Errorf("identity: activate: %w", err)
	}
	return answer, nil
}

// maxChallenge bounds the parts of a Challenge, in bytes: a seed encrypted with
// RSA-2048 has 256.
const maxChallenge = 512

func parseChallenge(data []byte) (tpm.Challenge, error) {
	var c tpm.Challenge
	if len(data) > maxAttestation {
		return c, fmt.Errorf("a challenge of %d bytes, expected at most %d", len(data), maxAttestation)
	}
	if err := decode(data, &c); err != nil {
		return c, fmt.Errorf("the challenge: %w", err)
	}
	if len(c.Credential) == 0 || len(c.Credential) > maxChallenge || len(c.Secret) == 0 || len(c.Secret) > maxChallenge {
		return c, errors.New("the challenge: expected \"credential\" and \"secret\" in base64")
	}
	return c, nil
}

// JSON returns the document.
func (a Attestation) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return append(data, '\n'), nil
}
