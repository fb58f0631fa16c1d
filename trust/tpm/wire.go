package tpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"kpm/core/port"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"
	tpmtransport "github.com/google/go-tpm/tpm2/transport"
)

const (
	headerSize  = 10   // tag, size, code: Part 1, 18.2
	maxResponse = 4096 // bytes: what the kernel's driver and TBS allow, too
	// A TPM that says "later" is asked again after pauses of 10 ms to 640 ms,
	// altogether about 5 s.
	firstPause = 10 * time.Millisecond
	lastPause  = 640 * time.Millisecond
	maxTries   = 13
)

// transport is go-tpm's word for a connection.
type transport = tpmtransport.TPM

// wire carries the commands of one visit.
type wire struct {
	ctx context.Context
	tpm port.TPM
}

// Send implements transport.TPM. A warning that says to send the command again
// is obeyed: sessions have not moved then (Part 1, 19.6.1, and Part 2, 6.6.3,
// TPM_RC_RETRY and TPM_RC_YIELDED).
func (w *wire) Send(command []byte) ([]byte, error) {
	pause := firstPause
	for try := 1; ; try++ {
		if err := w.ctx.Err(); err != nil {
			return nil, &fault{err}
		}
		response, err := w.tpm.Send(command)
		if err != nil {
			return nil, &fault{err}
		}
		code, err := responseCode(response)
		if err != nil {
			return nil, err
		}
		if !again(code) || try == maxTries {
			return response, nil
		}
		select {
		case <-w.ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// again reports whether the TPM asks for the same command once more.
func again(code tpm2.TPMRC) bool {
	switch code {
	case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate:
		return true
	}
	return false
}

// responseCode checks a response's header before anything is parsed.
func responseCode(response []byte) (tpm2.TPMRC, error) {
	if len(response) < headerSize || len(response) > maxResponse {
		return 0, fmt.Errorf("a response of %d bytes", len(response))
	}
	if said := binary.BigEndian.Uint32(response[2:]); uint64(said) != uint64(len(response)) {
		return 0, fmt.Errorf("a response of %d bytes says that it has %d", len(response), said)
	}
	return tpm2.TPMRC(binary.BigEndian.Uint32(response[6:])), nil
}

// run executes one command.
func run[R any](w *wire, cmd tpm2.Command[R, *R], sessions ...tpm2.Session) (response *R, err error) {
	// The command's name in Part 3 is that of its type.
	err = attempt(strings.TrimPrefix(fmt.Sprintf("%T", cmd), "tpm2."), func() (err error) {
		response, err = cmd.Execute(w, sessions...)
		return err
	})
	return response, err
}

// attempt calls into go-tpm, which parses what somebody on the bus can have
// written, and gives the error its meaning.
func attempt(command string, do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = classify(command, fmt.Errorf("%v", r))
		}
	}()
	return classify(command, do())
}

// guard turns a panic of a third-party parser into an error.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = errors.Join(*err, fmt.Errorf("tpm: parse: %v", r))
	}
}
