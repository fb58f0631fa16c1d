//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"kpm/vmtests/apart"
	"kpm/vmtests/terminal"
)

// as is `as UID CMD ARG...`: become the user and run the command
// in its place.
func as() {
	uid, err := strconv.Atoi(os.Args[1])
	if err != nil {
		die(err)
	}
	path, err := exec.LookPath(os.Args[2])
	if err == nil {
		err = apart.Person(uint32(uid))
	}
	if err != nil {
		die(err)
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid)); err != nil {
		die(err)
	}
	die(syscall.Exec(path, os.Args[2:], os.Environ()))
}

// person is `person UID [expect:TEXT|type:TEXT|resize:RxC|close]... -- CMD
// ARG...`: sit at a terminal as that user, run the command, wait for texts,
// type, and print all that was shown. \n, \r, \t and \xNN are understood.
func person() {
	uid, err := strconv.Atoi(os.Args[1])
	if err != nil {
		die(err)
	}
	var steps []string
	args := os.Args[2:]
	for len(args) > 0 && args[0] != "--" {
		steps, args = append(steps, args[0]), args[1:]
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		die(err)
	}
	if err := apart.Person(uint32(uid)); err != nil {
		die(err)
	}
	t, err := terminal.Open(uint32(uid), 24, 80)
	if err != nil {
		die(err)
	}
	cmd := exec.Command(path, args[2:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	t.Attach(cmd)
	if err := cmd.Start(); err != nil {
		die(err)
	}
	for _, step := range steps {
		if err := act(t, cmd, step); err != nil {
			fmt.Fprintln(os.Stderr, err)
			_ = cmd.Process.Kill()
			break
		}
	}
	err = cmd.Wait()
	before, settingsErr := t.Settings()
	_ = t.Close()
	os.Stdout.WriteString(t.Output())
	if settingsErr == nil && (before.Lflag&syscall.ECHO == 0 || before.Lflag&syscall.ICANON == 0) {
		fmt.Println("THE TERMINAL WAS LEFT RAW")
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode() & 0xff)
	}
	if err != nil {
		die(err)
	}
	os.Exit(0)
}

func act(t *terminal.Terminal, cmd *exec.Cmd, step string) error {
	verb, text, _ := strings.Cut(step, ":")
	text, err := strconv.Unquote(`"` + text + `"`)
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	switch verb {
	case "expect":
		return t.Expect(text, patience)
	case "type":
		return t.Type(text)
	case "resize":
		var rows, columns uint16
		if _, err := fmt.Sscanf(text, "%dx%d", &rows, &columns); err != nil {
			return err
		}
		return t.Resize(rows, columns)
	case "kill":
		return cmd.Process.Kill()
	}
	return fmt.Errorf("person: unknown step %q", step)
}

func die(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(125)
}
