package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"kpm/core/port"
)

// variable tells the tests' executable that it is one of the suite's programs.
const variable = "KPM_CONFORMANCE"

// Main must be called by TestMain. It does not return in a process that is one of
// the suite's programs.
func Main(g Ground) {
	if os.Getenv(variable) == "" {
		return
	}
	p := part{g}
	do, args := p.parts()[os.Args[1]], os.Args[2:]
	if do == nil {
		fail(fmt.Errorf("no part is named %q", os.Args[1]))
	}
	do(args)
	os.Exit(0)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

// part is a program of the suite.
type part struct{ Ground }

func (p part) parts() map[string]func([]string) {
	return map[string]func([]string){
		"exit": func(args []string) {
			code, err := strconv.ParseUint(args[0], 0, 32)
			fail(err)
			os.Exit(int(code))
		},
		"copy": func([]string) {
			n, err := io.Copy(os.Stdout, os.Stdin)
			fail(err)
			fmt.Fprint(os.Stderr, n)
		},
		"arguments":   func(args []string) { say(args) },
		"environment": func([]string) { say(os.Environ()) },
		"user":        func([]string) { say(p.User()) },
		"who": func([]string) {
			id, err := who()
			fail(err)
			say(id)
		},
		"directory": func([]string) {
			dir, err := os.Getwd()
			fail(err)
			say(dir)
		},
		"mute": func([]string) { // whoever reads sees the end, and this goes on
			os.Stdout.Close()
			io.Copy(io.Discard, os.Stdin)
		},
		"write": func(args []string) { // to a number that it was not given
			number, err := strconv.ParseUint(args[0], 10, 64)
			fail(err)
			_, err = os.NewFile(uintptr(number), "leaked").WriteString("leaked")
			say(err != nil)
		},
		"make": func(args []string) { fail(os.WriteFile(args[0], nil, 0o600)) },
		"terminal": func([]string) {
			in, out, err := p.Console()
			fail(err)
			rows, columns, err := p.Size(out)
			fail(err)
			fmt.Fprintf(out, "size %d %d\n", rows, columns)
			typed, err := bufio.NewReader(in).ReadString('\n')
			fail(err)
			fmt.Fprintf(out, "typed %s.\n", strings.TrimSpace(typed))
		},
		"listen": func([]string) {
			told := make(chan os.Signal, 1)
			signal.Notify(told, os.Interrupt)
			fmt.Println("ready")
			<-told
			fmt.Println("told")
			os.Exit(3)
		},
		"stay":    func([]string) { fmt.Println(p.Self()); time.Sleep(10 * time.Minute) },
		"leave":   func([]string) { p.start("stay") },
		"twice":   func([]string) { p.start("leave") },
		"both":    func([]string) { p.start("stay"); time.Sleep(10 * time.Minute) },
		"service": func(args []string) { p.service(args) },
	}
}

// say prints v on a line.
func say(v any) {
	text, err := json.Marshal(v)
	fail(err)
	fmt.Println(string(text))
}

// start starts another part, which leaves whatever session this one is in.
func (p part) start(name string) {
	exe, err := os.Executable()
	fail(err)
	cmd := exec.Command(exe, name)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	detach(cmd)
	fail(cmd.Start())
}

// service is a service that dies: it prepares a part, releases it if it is to,
// says what it has, and is gone.
func (p part) service(args []string) {
	host, err := p.Host()
	fail(err)
	exe, err := os.Executable()
	fail(err)
	program, err := p.Handle(exe)
	fail(err)
	dir, err := p.Handle(os.TempDir())
	fail(err)
	held, err := host.Launcher.Prepare(context.Background(), port.LaunchSpec{
		As: p.As, Executable: program, Dir: dir, Argv: slices.Concat([]string{exe}, args[1:]), Env: append(slices.Clone(p.Env), variable+"=1"),
		Streams: port.Streams{Output: os.Stdout},
	})
	fail(err)
	fmt.Println(held.ID())
	fmt.Println(held.Group())
	if args[0] == "run" {
		_, err := held.Release(context.Background())
		fail(err)
		fmt.Println("released")
	}
	io.Copy(io.Discard, os.Stdin) // until it is told to die
	os.Exit(1)                    // nothing is closed
}
