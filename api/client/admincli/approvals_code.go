package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core/approvalcode"
	"kpm/core/view"
)

const approvalKeyPath = "/api/ApprovalKey"

func approvalKeyCommand(e *endpoint) *cobra.Command {
	return group(&cobra.Command{Use: "key", Short: "The key by which a help desk makes codes for approvals",
		Long: `The key by which a help desk makes codes for approvals.

Whoever has it approves every request of this machine, over the telephone. Without a
key no code is taken.`},
		newApprovalKeyCommand(e), showApprovalKeyCommand(e), removeApprovalKeyCommand(e))
}

func newApprovalKeyCommand(e *endpoint) *cobra.Command {
	var asJSON, replace bool
	cmd := &cobra.Command{
		Use: "new", Short: "Make this machine's key, and show it this once",
		Long: `Make this machine's key, and show it this once. Keep it where the help desk makes
codes of it, in a file that nobody else can read.`,
		Example: "  KeeperAdminCLI approvals key new\n  KeeperAdminCLI approvals key new --replace --json >web1.key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := json.Marshal(map[string]bool{"replace": replace})
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			defer c.Close()
			text, err := c.Call(cmd.Context(), http.MethodPost, approvalKeyPath, body)
			var refused *client.Refusal
			if errors.As(err, &refused) && refused.Code == "conflict" {
				return fmt.Errorf("%w; to end the key that there is, use --replace", err)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), text)
			}
			var key view.ApprovalKey
			if err := json.Unmarshal(text, &key); err != nil {
				return err
			}
			return printTable(cmd.OutOrStdout(), [][]string{{"machine", key.Machine}, {"key", key.Key}})
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "end the key that there is: codes that are made with it count no more")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func showApprovalKeyCommand(e *endpoint) *cobra.Command {
	return approvalKeyVerb(e, http.MethodGet, "show", "Say whether this machine takes codes, and since when")
}

func removeApprovalKeyCommand(e *endpoint) *cobra.Command {
	return approvalKeyVerb(e, http.MethodDelete, "remove", "Take no more codes on this machine")
}

func approvalKeyVerb(e *endpoint, method, verb, short string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: verb, Short: short, Example: "  KeeperAdminCLI approvals key " + verb, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return e.pass(cmd, method, approvalKeyPath, nil)
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			defer c.Close()
			text, err := c.Call(cmd.Context(), method, approvalKeyPath, nil)
			if err != nil {
				return err
			}
			var key view.ApprovalKey
			if err := json.Unmarshal(text, &key); err != nil {
				return err
			}
			return printTable(cmd.OutOrStdout(), [][]string{{"machine", key.Machine}, {"made", key.At.Local().Format(time.DateTime)}, {"by", key.By}})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// madeCode is what approvals code prints with --json.
type madeCode struct {
	Code  string    `json:"code"`
	Until time.Time `json:"until"`
}

func approvalCodeCommand() *cobra.Command {
	var asJSON bool
	var file string
	cmd := &cobra.Command{
		Use: "code CHALLENGE", Short: "Make a code for what somebody reads to you over the telephone",
		Long: `Make a code for what somebody reads to you over the telephone.

It needs the key of their machine, and neither that machine nor a service: --key FILE
has what "approvals key new" has printed there, and - reads it from standard input.
Ask what they want to run before you read the code to them: the code says yes to it,
once, for 15 to 30 minutes.`,
		Example: "  KeeperAdminCLI approvals code ABCD-EFGH-2345-WXYZ --key web1.key",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			challenge, err := approvalcode.ParseChallenge(args[0])
			if err != nil {
				return fmt.Errorf("challenge %q: %w", args[0], err)
			}
			key, err := readApprovalKey(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			now := time.Now()
			made := madeCode{key.Code(challenge, now), approvalcode.Until(now)}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), made)
			}
			return printTable(cmd.OutOrStdout(), [][]string{{"code", made.Code}, {"counts until", made.Until.Local().Format(time.DateTime)}})
		},
	}
	cmd.Flags().StringVar(&file, "key", "", "the `FILE` with the machine's key; - is standard input")
	if err := cmd.MarkFlagRequired("key"); err != nil {
		panic(err) // there is such a flag
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// maxApprovalKey bounds what is read of a key, in bytes.
const maxApprovalKey = 4096

// readApprovalKey reads a key as "approvals key new" has printed it, with --json or
// without, or alone.
func readApprovalKey(file string, stdin io.Reader) (key approvalcode.Key, err error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return key, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxApprovalKey))
	if err != nil {
		return key, fmt.Errorf("%s: %w", file, err)
	}
	text := string(data)
	var asJSON view.ApprovalKey
	if json.Unmarshal(data, &asJSON) == nil {
		text = asJSON.Key
	}
	for line := range strings.Lines(text) {
		if word, rest, found := strings.Cut(strings.TrimSpace(line), " "); found && word == "key" {
			text = rest
		}
	}
	if key, err = approvalcode.ParseKey(text); err != nil {
		return key, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}
