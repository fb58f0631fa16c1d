package seal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/launcher/refusal"
)

// checkInterpreter accepts an interpreter that nobody but root can replace, by
// content or by a link on the way to it, and that is no script itself. The
// message is the same whatever is wrong: the service sees files that the caller
// may not, and must not tell which exist (CVE-2025-46717).
func (s *Sealer) checkInterpreter(path string) error {
	err := Interpreter(s.Files, path)
	if core.OutOfResources(err) {
		return err
	}
	if err != nil {
		s.Log.Info("interpreter refused", "path", path, "error", err)
		return refusal.New(door.CodeBadRequest, "its interpreter %s cannot be used: it must be there, be no script itself, and be a program that only an administrator can change", path)
	}
	return nil
}

// Interpreter returns nil if the program at path may execute scripts: nobody but
// an administrator can replace it, by content or by a link on the way to it, and
// it is no script itself.
func Interpreter(files port.Files, path string) error {
	handle, err := files.LocateProtected(path)
	if err != nil {
		return err
	}
	defer handle.Close()
	info, err := files.Inspect(handle)
	if err != nil {
		return err
	}
	if !info.Regular || !info.Exec {
		return fmt.Errorf("%s: %w", path, core.ErrNotRegular)
	}
	head, err := headOf(files, handle)
	if err != nil {
		return err
	}
	if strings.HasPrefix(string(head), "#!") {
		return errors.New("it is a script itself")
	}
	return nil
}

// Script returns the path of a program that is a script, after the same check of
// its interpreter as for an elevation, and "" for a binary. The program is
// Protected.
func Script(files port.Files, handle *os.File) (string, error) {
	info, err := files.Inspect(handle)
	if err != nil {
		return "", err
	}
	if !info.Regular || !info.Exec {
		return "", fmt.Errorf("it is not an executable file: %w", core.ErrNotRegular)
	}
	head, err := headOf(files, handle)
	if err != nil {
		return "", err
	}
	interpreter, err := shebang(head)
	if err != nil || interpreter == "" {
		return "", err
	}
	if err := Interpreter(files, interpreter); err != nil {
		return "", fmt.Errorf("its interpreter: %w", err)
	}
	return info.Path, nil
}

// headOf returns the beginning of the program behind handle.
func headOf(files port.Files, handle *os.File) ([]byte, error) {
	file, err := files.Open(handle)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	head := make([]byte, shebangSize)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return head[:n], nil
}
