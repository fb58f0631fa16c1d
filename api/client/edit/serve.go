package edit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Errors of Serve.
var (
	ErrNotSealed  = errors.New("others than the administrator can put another file in its place; the policy must name it as {path:...}")
	ErrNotRegular = errors.New("it is not a regular file")
	ErrTooLarge   = fmt.Errorf("it has more than %d bytes", MaxFile)
	ErrChanged    = errors.New("somebody else has changed it meanwhile")
)

// Protected reports nil if the administrator alone can change what a path leads to,
// and the way there.
type Protected func(path string) error

// Serve shows the file to whoever is at the other end, and writes it once if that is
// asked. It returns what the person at the other end was told as well.
//
// Attack: the person exchanges the file, or a directory on the way to it, for a link
// between decision and opening (CVE-2015-5602). So it is either the open file that
// the launcher hands over in place of a {path} argument, or one that only the
// administrator could exchange.
func Serve(file string, protected Protected, in io.Reader, out io.Writer) error {
	err := serve(file, protected, in, out)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
		if told := send(out, failed, []byte(err.Error())); told != nil {
			return err // they are gone, and so is whoever could be told that
		}
	}
	return err
}

func serve(file string, protected Protected, in io.Reader, out io.Writer) error {
	f, before, err := open(file, protected)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := send(out, contents, before); err != nil {
		return fmt.Errorf("show it: %w", err)
	}
	k, after, err := receive(in)
	switch {
	case errors.Is(err, io.EOF):
		return nil // they leave it as it is
	case err != nil:
		return fmt.Errorf("what is to be in it: %w", err)
	case k != replace:
		return errFrame
	}
	now, err := read(f)
	if err != nil {
		return err
	}
	if sha256.Sum256(now) != sha256.Sum256(before) {
		return ErrChanged
	}
	if err := overwrite(f, after); err != nil {
		// A disk that is full must not cost the old contents.
		return errors.Join(err, overwrite(f, before))
	}
	return send(out, done, nil)
}

// firstHandedOver is the lowest number of a file in place of an argument; lower ones
// are the caller's own.
//
// Attack: "--serve /proc/self/fd/0 < /etc/passwd" opens for writing what the caller
// could only read.
const firstHandedOver = 3

func open(file string, protected Protected) (*os.File, []byte, error) {
	number, isHandedOver := strings.CutPrefix(file, "/proc/self/fd/")
	if isHandedOver {
		if n, err := strconv.Atoi(number); err != nil || n < firstHandedOver || strconv.Itoa(n) != number {
			return nil, nil, ErrNotSealed
		}
	} else if err := protected(file); err != nil {
		return nil, nil, err
	}
	// Whatever it turns out to be, nothing waits for it.
	f, err := os.OpenFile(file, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotRegular
	}
	var before []byte
	if err == nil {
		before, err = read(f)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, before, nil
}

func read(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = ErrTooLarge
	}
	return data, err
}

// overwrite writes in place: owner, mode, labels and names of the file stay.
func overwrite(f *os.File, data []byte) error {
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	return f.Sync()
}
