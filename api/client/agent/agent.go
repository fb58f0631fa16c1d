// Package agent is keeperAgent: what a person sees of their own requests that wait
// for approval, or may be run, and of those that they may decide on.
//
// It has no authority: it shows what the service says, and what it asks for is
// decided there. An approved request is run by keepersudo, as if it was typed.
package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/api/client/approvals"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/settings"
)

// Exit codes. A command that was run has its own.
const (
	exitOK    = 0
	exitFault = 1 // refused, or there is no such thing
	exitUsage = 2
)

// Config is what keeperAgent needs of the build and the operating system.
type Config struct {
	Version string
	Host    port.Host
	// Run runs keepersudo with args in dir, on this process's own descriptors, and
	// returns how it ended.
	Run func(program, dir string, args []string) (int, error)
	// Interactive says that somebody sits at Stdin. Secret asks them, and does not show
	// what they type.
	Interactive bool
	Secret      func(ctx context.Context, question string) (string, error)
	// Answering makes the terminal ready for one answer: it forgets what was typed, has
	// Escape end a line as well and, if secret, shows nothing, until done is called. nil
	// where that cannot be: then questions of other requests are not asked here.
	Answering      func(secret bool) (done func(), err error)
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// agent is one run of keeperAgent.
type agent struct {
	Config
	options
	layout settings.Layout
	to     approvals.Caller
	from   streamer // nil asks nothing
	status int
	typed  *bufio.Reader // of Stdin, once something was read
}

type options struct {
	root                                  string
	approval, refresh, json, enroll       bool
	png                                   string
	approve, deny, withdraw, run, comment string
	approveCode                           string
	watch                                 bool
}

// Run runs the command line args and returns the exit status.
func Run(ctx context.Context, args []string, cfg Config) int {
	cmd := Command(cfg)
	cmd.SetArgs(args)
	cmd.SetOut(cfg.Stdout)
	cmd.SetErr(cfg.Stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var done *served // or the command line is none
	if errors.As(err, &done) && done.err == nil {
		return done.status
	}
	var refused *client.Refusal
	if errors.As(err, &refused) {
		fmt.Fprintln(cfg.Stderr, "keeperAgent:", wire.PrintableLine(refused.Said()))
		return exitFault
	}
	fmt.Fprintln(cfg.Stderr, "keeperAgent:", wire.PrintableLine(err.Error()))
	if done == nil || errors.Is(err, errUsage) || errors.Is(err, fs.ErrPermission) || errors.Is(err, client.ErrNotRunning) {
		return exitUsage
	}
	return exitFault
}

var errUsage = errors.New("see keeperAgent --help")

// served is how a command line ended that is one: by err, or else with a status.
type served struct {
	err    error
	status int
}

// Error implements error.
func (s *served) Error() string {
	if s.err == nil {
		return fmt.Sprintf("ended with status %d", s.status)
	}
	return s.err.Error()
}

// Unwrap returns why it ended.
func (s *served) Unwrap() error { return s.err }

// Command returns the command, for Run and for what is generated from it.
func Command(cfg Config) *cobra.Command {
	a := &agent{Config: cfg}
	cmd := &cobra.Command{
		Use: "keeperAgent", Short: "Run approved requests, and decide on those of others", Version: a.Version,
		Long: `Run approved requests, and decide on those of others.

--approval lists what was approved and may be run, each once. At a terminal it then
asks: a number runs that request, p shows what waits, r asks the service again, e
ends. Where p shows requests that you may decide on, "a 1" agrees to the first and
"d 1 TEXT" refuses it. Without a terminal, or with --json, it is a list.

While it waits it also asks you what requests of yours need that have neither a
terminal nor a desktop, such as a coding agent's or a scheduled job's: a reason, or
a code. Escape refuses. It has to run in another terminal than what made the
request. (Linux)

--watch shows what becomes of your requests, and that an approval or a grant is
about to end, as it happens; beside it, keepersudo --no-wait need not wait.

--approve-code asks for a code that the help desk has told you, or reads it from
standard input: --approval, p shows what to read to them.

--enroll asks for the ticket that an administrator has given you
(KeeperAdminCLI mfa ticket), or has you log in again if you have none, and shows
what an authenticator program needs. With --json it is an object. Without a
terminal, the ticket, or an empty line and the answers, are lines of standard input.

The agent is found by --root, then by KEEPER_AGENT_ROOT, then in its default
directory.

Exit status: that of the command that was run; otherwise 0; 1, refused; 2, the
command line is wrong or the service does not answer.`,
		Example:       "  keeperAgent --approval\n  keeperAgent --approval --json\n  keeperAgent --run K7QP-3M2X\n  keeperAgent --approve K7QP-3M2X --comment \"ticket 7\"\n  keeperAgent --approve-code K7QP-3M2X\n  keeperAgent --watch\n  keeperAgent --refresh\n  keeperAgent --enroll",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.serve(cmd); err != nil || a.status != exitOK {
				return &served{err, a.status}
			}
			return nil
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w; %w", err, errUsage) })
	f := cmd.Flags()
	f.StringVar(&a.root, "root", "", "agent root")
	f.BoolVar(&a.approval, "approval", false, "show what may be run, and run it")
	f.BoolVar(&a.refresh, "refresh", false, "ask the service for news, and say how much there is")
	f.BoolVar(&a.json, "json", false, "with --approval or --refresh: all approvals as JSON; with --watch: each notice as JSON on a line")
	f.BoolVar(&a.watch, "watch", false, "show what happens to your requests and grants, as it happens, until it is interrupted")
	f.StringVar(&a.run, "run", "", "run the approved request with this `ID`")
	f.StringVar(&a.approve, "approve", "", "agree to the request with this `ID`")
	f.StringVar(&a.deny, "deny", "", "refuse the request with this `ID`")
	f.StringVar(&a.approveCode, "approve-code", "", "enter the help desk's code for your own request with this `ID`")
	f.StringVar(&a.withdraw, "withdraw", "", "take back your own request with this `ID`")
	f.BoolVar(&a.enroll, "enroll", false, "enrol yourself for a second factor, with a ticket of an administrator's or by logging in again")
	f.StringVar(&a.png, "png", "", "with --enroll: write the QR code to this new `FILE` as well, which only you can read")
	f.StringVar(&a.comment, "comment", "", "with --approve or --deny: what whoever asked is told")
	cmd.MarkFlagsMutuallyExclusive("approval", "refresh", "run", "approve", "deny", "withdraw", "approve-code", "watch", "enroll")
	cmd.MarkFlagsOneRequired("approval", "refresh", "run", "approve", "deny", "withdraw", "approve-code", "watch", "enroll")
	return cmd
}

func (a *agent) serve(cmd *cobra.Command) error {
	if err := a.find(); err != nil {
		return err
	}
	c := client.Local(func() (net.Conn, error) { return a.Host.Transport.Dial(a.layout.APISocket()) })
	defer c.Close()
	a.to, a.from = c, c
	ctx := cmd.Context()
	switch {
	case a.enroll:
		return a.enrolls(ctx)
	case a.approve != "":
		return a.decide(ctx, a.approve, "approve", a.comment)
	case a.deny != "":
		return a.decide(ctx, a.deny, "deny", a.comment)
	case a.watch:
		return a.watches(ctx, c)
	case a.approveCode != "":
		return a.entersCode(ctx)
	case a.withdraw != "":
		return a.decide(ctx, a.withdraw, "withdraw", "")
	}
	list, text, err := a.list(ctx)
	switch {
	case err != nil:
		return err
	case a.json:
		return a.print("%s\n", wire.Printable(string(text)))
	case a.run != "":
		return a.runByID(list, a.run)
	case a.refresh:
		return a.news(list)
	case a.Interactive:
		return a.talk(ctx, list)
	}
	return a.show(runnable(list))
}

// find finds the agent root (decision 4). Root does not follow the variable: it may be
// somebody else's.
func (a *agent) find() error {
	root := a.root
	if root == "" && !a.Host.Accounts.Administrator() {
		root = os.Getenv("KEEPER_AGENT_ROOT")
	}
	if root == "" {
		root = a.Host.Facts.Platform.DefaultRoot()
	}
	path, err := filepath.Abs(root)
	if err == nil {
		err = a.Host.Files.ProtectedRoot(path)
	}
	if err != nil {
		return fmt.Errorf("agent root %s cannot be trusted, name another with --root: %w; %w", root, err, errUsage)
	}
	a.layout = settings.At(path, "")
	return nil
}

// list returns the approvals, and the service's own JSON of them.
func (a *agent) list(ctx context.Context) (list []view.Approval, text []byte, err error) {
	text, err = a.to.Call(ctx, "GET", approvals.Path, nil)
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	return list, text, err
}

func (a *agent) print(format string, args ...any) error {
	_, err := fmt.Fprintf(a.Stdout, format, args...)
	return err
}

func (a *agent) decide(ctx context.Context, id, verb, comment string) error {
	text, err := approvals.Decide(ctx, a.to, id, verb, view.ApprovalAnswer{Comment: comment})
	if err != nil {
		return err
	}
	return a.printDecided(text)
}

// printDecided says where an approval stands that the service has answered with.
func (a *agent) printDecided(text []byte) error {
	var one view.Approval
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	return a.print("%s is %s\n", wire.Printable(one.ID), approvals.State(&one))
}

// entersCode asks for a code of the help desk's and hands it to the service.
func (a *agent) entersCode(ctx context.Context) error {
	code, err := a.asks(ctx, "Code: ", false)
	if err != nil {
		return err
	}
	body, err := json.Marshal(view.ApprovalCode{Code: code})
	if err != nil {
		return err
	}
	text, err := a.to.Call(ctx, "POST", approvals.One(a.approveCode)+"/code", body)
	if err != nil {
		return err
	}
	return a.printDecided(text)
}

// news says how much there is for this person.
func (a *agent) news(list []view.Approval) error {
	toDecide := 0
	for i := range list {
		if list[i].MayDecide && waits(&list[i]) {
			toDecide++
		}
	}
	return a.print("%d approved, to be run with keeperAgent --approval\n%d waiting for approvers\n%d for you to decide on\n",
		len(runnable(list)), len(pending(list)), toDecide)
}

func waits(one *view.Approval) bool { return one.Status == "pending" || one.Status == "escalated" }

// runnable are this person's own that may be run, pending those that wait.
func runnable(list []view.Approval) []view.Approval {
	return choose(list, func(one *view.Approval) bool { return one.Own && one.Status == "approved" && !one.Used })
}

func pending(list []view.Approval) []view.Approval {
	return choose(list, func(one *view.Approval) bool { return one.Own && waits(one) })
}

func choose(list []view.Approval, takes func(*view.Approval) bool) (chosen []view.Approval) {
	for i := range list {
		if takes(&list[i]) {
			chosen = append(chosen, list[i])
		}
	}
	return chosen
}

// show prints numbered lines.
func (a *agent) show(list []view.Approval) error {
	if len(list) == 0 {
		return a.print("Nothing was approved that you could run.\n")
	}
	var b strings.Builder
	for i := range list {
		fmt.Fprintf(&b, "%d: %s\n", i+1, a.line(&list[i]))
	}
	return a.print("%s", b.String())
}

// line is one request as a person knows it.
func (a *agent) line(one *view.Approval) string {
	as := ""
	if one.TargetUser != "root" {
		as = " as " + wire.Printable(one.TargetUser)
	}
	return fmt.Sprintf("%s%s (expires in %s)", approvals.Command(a.Host.Facts.Platform, one), as, approvals.Left(one))
}
