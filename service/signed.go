package service

import (
	"context"
	"fmt"
	"os"

	"kpm/api"
	"kpm/core"
	"kpm/trust/provenance"
)

// signedPrograms tells the API which processes run a program that a trusted
// signer has signed.
type signedPrograms struct {
	programs   programs
	signatures core.Signatures // nil: nobody is trusted
}

var _ api.SignedPrograms = signedPrograms{}

// programs opens what processes run (port.Peers).
type programs interface {
	Program(id core.ProcessID) (*os.File, error)
}

// newSignedPrograms returns what asks signatures about the programs of processes.
func newSignedPrograms(programs programs, signatures core.Signatures) signedPrograms {
	return signedPrograms{programs, signatures}
}

// Trusted reports whether process runs a signed program, and if not, why. It is
// the program's file that is signed: what a script tells its interpreter, a
// library or a debugger adds to it is not (CVE-2022-1117), so nothing less than
// a signature over the file itself counts, and docs/wire.md says what it is
// worth.
func (s signedPrograms) Trusted(ctx context.Context, process core.ProcessID) (bool, string) {
	if s.signatures == nil {
		return false, "this machine verifies no signatures"
	}
	program, err := s.programs.Program(process)
	if err != nil {
		return false, fmt.Sprintf("its program cannot be opened: %v", err)
	}
	defer program.Close()
	found, err := s.signatures.Provenance(ctx, program, nil)
	if err != nil {
		return false, fmt.Sprintf("its program cannot be read: %v", err)
	}
	if rank := found.Rank(); rank < core.RankSigned {
		return false, fmt.Sprintf("%s is not signed by anyone this machine trusts (%s)", program.Name(), provenance.Why(found))
	}
	// Attack: the process runs another program while the signature of the
	// first is being judged, or ends and leaves its pid to another.
	now, err := s.programs.Program(process)
	if err != nil {
		return false, fmt.Sprintf("its program cannot be opened: %v", err)
	}
	defer now.Close()
	if same, err := sameFile(program, now); err != nil || !same {
		return false, "it ran another program while its signature was judged"
	}
	return true, ""
}

func sameFile(a, b *os.File) (bool, error) {
	infoA, err := a.Stat()
	if err != nil {
		return false, err
	}
	infoB, err := b.Stat()
	if err != nil {
		return false, err
	}
	return os.SameFile(infoA, infoB), nil
}
