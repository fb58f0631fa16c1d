package mfa

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// writerAt, in the environment, makes this program the writer.
const writerAt = "KPM_MFA_WRITER"

func TestMain(m *testing.M) {
	if at := os.Getenv(writerAt); at != "" {
		fmt.Println(use(at)) // until it is killed
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// use is the process that TestKilledAtAnyMoment kills: it enrols anna again and again,
// uses her recovery codes up, and says which it was told are right.
func use(at string) error {
	w := &world{}
	f := Open(configAt(at, w))
	for {
		e, err := f.Enroll(context.Background(), admin, anna, true)
		if err != nil {
			return err
		}
		for _, code := range e.RecoveryCodes {
			if _, err := f.Check(context.Background(), Try{User: anna.User, Answer: code}); err != nil {
				return err
			}
			fmt.Println("used", code)
		}
	}
}

func configAt(path string, w *world) Config {
	return Config{
		Path: path, Sealer: key{new(error)}, Journal: w, Machine: func() string { return "host" },
		LockOut: 15 * time.Minute, Remember: 5 * time.Minute, Log: slog.New(slog.DiscardHandler),
	}
}

// After kill -9 at any moment a code that was said to be right is not right again.
func TestKilledAtAnyMoment(t *testing.T) {
	path := t.TempDir() + "/factors.db"
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), writerAt+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var used []string
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			code, is := strings.CutPrefix(lines.Text(), "used ")
			if !is {
				t.Fatalf("it says %q", lines.Text())
			}
			if used = append(used, code); len(used) == 2+3*round {
				_ = cmd.Process.Kill() // what it has said by then is read on
			}
		}
		_ = cmd.Wait() // killed
		if len(used) < 2+3*round {
			t.Fatalf("it has ended by itself after %d codes", len(used))
		}
		f := Open(configAt(path, &world{}))
		if err := f.unusable(); err != nil {
			t.Fatal(err)
		}
		for _, code := range used[max(0, len(used)-4):] { // a fifth would lock out
			if _, err := f.Check(t.Context(), Try{User: anna.User, Answer: code}); !isWrong(err, "is wrong") {
				t.Errorf("round %d: %s once more: %v", round, code, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
