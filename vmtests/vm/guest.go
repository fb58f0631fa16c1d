package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf16"
)

// answer is what a script printed on both streams, and its exit status.
type answer struct {
	said   string
	status int
}

// guest is a machine that the suite speaks to, as an administrator.
type guest interface {
	// run runs a script of the machine's own shell.
	run(ctx context.Context, script string) (answer, error)
	// put copies a file of this machine into the guest.
	put(ctx context.Context, from, to string) error
}

// ssh is a guest with SSH and sudo, by one connection for all.
type ssh struct{ config string }

// reachSSH writes down what Vagrant says of how to log in.
func reachSSH(ctx context.Context, m *machine) (guest, error) {
	said, err := m.vagrant(ctx, "ssh-config", "--host", "guest")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(m.dot, "ssh")
	said += "  ControlMaster auto\n  ControlPath " + filepath.Join(m.dot, "%C") + "\n  ControlPersist 600\n  LogLevel ERROR\n"
	return ssh{config}, os.WriteFile(config, []byte(said), 0o600)
}

func (s ssh) run(ctx context.Context, script string) (answer, error) {
	cmd := exec.CommandContext(ctx, "ssh", "-F", s.config, "guest", "sudo", "sh")
	cmd.Stdin = strings.NewReader(script)
	return outcome(cmd)
}

func (s ssh) put(ctx context.Context, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, "ssh", "-F", s.config, "guest", "sudo", "dd", "status=none", "of="+to)
	cmd.Stdin = f
	got, err := outcome(cmd)
	if err == nil && got.status != 0 {
		err = fmt.Errorf("copy %s: %s", to, got.said)
	}
	return err
}

// winRM is a guest with WinRM, by Vagrant's own connection.
type winRM struct{ m *machine }

func reachWinRM(_ context.Context, m *machine) (guest, error) { return winRM{m}, nil }

func (w winRM) run(ctx context.Context, script string) (answer, error) {
	// Base64 of UTF-16, as powershell.exe -EncodedCommand takes it, so that nothing
	// on the way reads quotes. It says the status itself: Vagrant keeps 0 and 1 apart.
	var wide bytes.Buffer
	for _, unit := range utf16.Encode([]rune(script)) {
		_ = binary.Write(&wide, binary.LittleEndian, unit) // to memory
	}
	cmd := exec.CommandContext(ctx, "vagrant", "--no-tty", "winrm", "--elevated", "--shell", "cmd", "--command",
		"powershell.exe -NoProfile -ExecutionPolicy Bypass -EncodedCommand "+base64.StdEncoding.EncodeToString(wide.Bytes()))
	cmd.Env = w.m.environ
	return outcome(cmd)
}

func (w winRM) put(ctx context.Context, from, to string) error {
	_, err := w.m.vagrant(ctx, "upload", from, to)
	return err
}

// outcome runs cmd to its end, whatever its status.
func outcome(cmd *exec.Cmd) (answer, error) {
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w\n%s", cmd.Args[0], err, out)
	}
	return answer{strings.ReplaceAll(string(out), "\r\n", "\n"), cmd.ProcessState.ExitCode()}, nil
}
