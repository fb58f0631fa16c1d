// Package enrollment shows what a person needs who was given a second factor: the QR
// code and the same as text. It is for the tools that ask for enrolments, and asks
// for none itself.
package enrollment

import (
	"errors"
	"fmt"
	"io"
	"os"

	"rsc.io/qr"

	"kpm/core/view"
	"kpm/core/wire"
)

// Picture is the file that a QR code goes to; nil for none.
type Picture struct{ file *os.File }

// NewPicture makes the file before anybody is enrolled: a secret that was given
// out and could not be written would be lost.
//
// Attack: somebody makes the file first, or a link in its place, and reads the
// secret there. It must not be there.
func NewPicture(path string) (*Picture, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--png: %w", err)
	}
	return &Picture{f}, nil
}

// Write writes the QR code of an enrolment, and closes the file.
func (p *Picture) Write(enrolled view.Enrollment) error {
	if p == nil {
		return nil
	}
	code, err := qr.Encode(enrolled.URI, qr.M)
	if err == nil {
		_, err = p.file.Write(code.PNG())
	}
	return errors.Join(err, p.file.Close())
}

// Discard removes the file: nobody was enrolled.
func (p *Picture) Discard() error {
	if p == nil {
		return nil
	}
	return errors.Join(p.file.Close(), os.Remove(p.file.Name()))
}

// Print shows an enrolment, as a QR code and as text.
func Print(w io.Writer, enrolled view.Enrollment) error {
	code, err := qr.Encode(enrolled.URI, qr.M)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	draw(w, code)
	text := fmt.Sprintf("\n%s is enrolled. Scan the code with an authenticator program, or type the secret:\n\n  secret  %s\n  uri     %s\n\nRecovery codes, each of which counts once:\n\n",
		wire.Printable(enrolled.User), enrolled.Secret, wire.Printable(enrolled.URI))
	for _, one := range enrolled.RecoveryCodes {
		text += "  " + wire.Printable(one) + "\n"
	}
	_, err = fmt.Fprint(w, text+"\nNone of this is shown again.\n")
	return err
}

// quiet is the empty margin of a QR code, in modules: readers need it
// (ISO/IEC 18004, section 5.3.8, says 4; terminals show enough beyond 2).
const quiet = 2

// draw draws a QR code with half blocks, two rows in a line. Light modules are
// drawn, so that a dark terminal shows it the right way round, and most programs
// read it the other way as well.
func draw(w io.Writer, code *qr.Code) {
	light := func(x, y int) bool {
		return x < 0 || y < 0 || x >= code.Size || y >= code.Size || !code.Black(x, y)
	}
	for y := -quiet; y < code.Size+quiet; y += 2 {
		line := ""
		for x := -quiet; x < code.Size+quiet; x++ {
			switch upper, lower := light(x, y), light(x, y+1) && y+1 < code.Size+quiet; {
			case upper && lower:
				line += "\u2588"
			case upper:
				line += "\u2580"
			case lower:
				line += "\u2584"
			default:
				line += " "
			}
		}
		fmt.Fprintln(w, line)
	}
}
