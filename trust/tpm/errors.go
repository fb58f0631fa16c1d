package tpm

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// Errors that say what a person has to do next. All else is a fault of the
// connection or of the TPM and is wrapped as it came.
var (
	// ErrCleared: the TPM no longer has the storage key that our keys lie
	// under. That is what clearing a TPM does; it is also what somebody looks
	// like who sits between the processor and the TPM and answers in its place.
	ErrCleared = errors.New("the TPM was cleared, or something answers in its place")
	// ErrOtherTPM: this is not the TPM that the keys were made in.
	ErrOtherTPM = errors.New("this is another TPM than the one the key was made in")
	// ErrBlob: a stored blob is damaged, or belongs to another TPM.
	ErrBlob = errors.New("the stored key is damaged or belongs to another TPM")
	// ErrTampered: a response is not what the TPM computed, or makes no sense.
	ErrTampered = errors.New("the TPM's answer was changed on the way")
	// ErrRefusedAuth: the TPM did not accept our authorization. It has an owner
	// password, its storage key has one, or the command was changed on the way.
	ErrRefusedAuth = errors.New("the TPM refuses: its owner or storage key has a password, or the command was changed on the way")
	// ErrUnusable: the TPM is there and will not do what is needed, now or later.
	ErrUnusable = errors.New("this TPM cannot be used")
	// ErrLockout: somebody gave the TPM too many wrong passwords. It recovers
	// by itself, in minutes or hours.
	ErrLockout = errors.New("the TPM is in lockout after too many wrong passwords, and recovers by itself")
	// ErrBusy: the TPM, asked several times, had no time or no room.
	ErrBusy = errors.New("the TPM is busy")
	// ErrPCR: the registers do not have the values that the secret was sealed to.
	ErrPCR = errors.New("the machine was not started as it was when the secret was sealed")
)

// fault is a connection that does not carry commands. It is told apart from
// what a TPM says, and from what only looks as if a TPM had said it.
type fault struct{ err error }

func (f *fault) Error() string { return "connection to the TPM: " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// classify wraps what came of a command with the error above that it means.
// Response codes carry no proof (Part 1, 19.6.1: only successful responses are
// authenticated): somebody on the bus can make every command end this way, so
// no code may ever lead to less protection than before.
func classify(command string, err error) error {
	if err == nil {
		return nil
	}
	var broken *fault
	var code tpm2.TPMRC
	switch {
	case errors.As(err, &broken):
		return fmt.Errorf("tpm: %s: %w", command, err)
	case !errors.As(err, &code):
		// go-tpm's own words: a wrong response HMAC, or bytes that do not parse.
		return fmt.Errorf("tpm: %s: %w: %w", command, ErrTampered, err)
	}
	for _, row := range meanings {
		if errors.Is(code, row.code) {
			return fmt.Errorf("tpm: %s: %w: %w", command, row.means, code)
		}
	}
	return fmt.Errorf("tpm: %s: %w", command, code)
}

// meanings are the response codes (Part 2, 6.6.3) that mean the same whatever
// the command.
var meanings = []struct {
	code  tpm2.TPMRC
	means error
}{
	{tpm2.TPMRCIntegrity, ErrBlob},
	{tpm2.TPMRCLockout, ErrLockout},
	{tpm2.TPMRCAuthFail, ErrRefusedAuth},
	{tpm2.TPMRCBadAuth, ErrRefusedAuth},
	{tpm2.TPMRCPolicyFail, ErrPCR},
	{tpm2.TPMRCPCRChanged, ErrPCR},
	{tpm2.TPMRCHierarchy, ErrUnusable},
	{tpm2.TPMRCCommandCode, ErrUnusable},
	{tpm2.TPMRCCurve, ErrUnusable},
	{tpm2.TPMRCFailure, ErrUnusable},
	{tpm2.TPMRCInitialize, ErrUnusable},
	{tpm2.TPMRCObjectMemory, ErrBusy},
	{tpm2.TPMRCSessionMemory, ErrBusy},
	{tpm2.TPMRCSessionHandles, ErrBusy},
	{tpm2.TPMRCMemory, ErrBusy},
	{tpm2.TPMRCRetry, ErrBusy},
	{tpm2.TPMRCYielded, ErrBusy},
	{tpm2.TPMRCTesting, ErrBusy},
	{tpm2.TPMRCNVRate, ErrBusy},
}
