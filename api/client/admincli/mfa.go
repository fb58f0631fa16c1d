package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"kpm/api/client"
	"kpm/core/view"
	"kpm/core/wire"
)

func mfaCommand(e *endpoint) *cobra.Command {
	return group(&cobra.Command{Use: "mfa", Short: "Enrol people for a second factor"},
		enrollFactorCommand(e), listFactorsCommand(e), removeFactorCommand(e), ticketCommand(e))
}

func enrollFactorCommand(e *endpoint) *cobra.Command {
	var asJSON, replace bool
	var png string
	cmd := &cobra.Command{
		Use:   "enroll USER",
		Short: "Enrol a user for time-based codes",
		Long: `Enrol a user for time-based codes, as authenticator programs show them, so that
commands whose policy asks for MFA can be run.

Prints the QR code that the user's program scans, the same as text, and ten
recovery codes, each of which counts once. None of it is shown again: hand it to
the user, and to nobody else.`,
		Example: "  KeeperAdminCLI mfa enroll anna\n  KeeperAdminCLI mfa enroll anna --png anna.png\n  KeeperAdminCLI mfa enroll anna --replace --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			picture, err := openPicture(png)
			if err != nil {
				return err
			}
			body, err := json.Marshal(map[string]bool{"replace": replace})
			if err != nil {
				return err
			}
			var enrolled view.Enrollment
			if err := e.post(cmd.Context(), "/api/Mfa/"+url.PathEscape(args[0]), body, &enrolled); err != nil {
				return errors.Join(enrollFault(err), picture.discard())
			}
			code, err := qr.Encode(enrolled.URI, qr.M)
			if err != nil {
				return errors.Join(fmt.Errorf("QR code: %w", err), picture.discard())
			}
			if err := picture.write(code.PNG()); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), enrolled)
			}
			return printEnrollment(cmd.OutOrStdout(), enrolled, code)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&replace, "replace", false, "end what the user has now, and enrol anew")
	cmd.Flags().StringVar(&png, "png", "", "write the QR code to this new file as well, which only you can read")
	return cmd
}

// enrollFault says what to do about a user who is enrolled.
func enrollFault(err error) error {
	var refused *client.Refusal
	if errors.As(err, &refused) && refused.Code == "conflict" {
		return fmt.Errorf("%w: use --replace", err)
	}
	return err
}

// picture is the file that a QR code goes to; nil for none.
type picture struct{ *os.File }

// openPicture makes the file before anybody is enrolled: a secret that was given
// out and could not be written would be lost.
//
// Attack: somebody makes the file first, or a link in its place, and reads the
// secret there. It must not be there.
func openPicture(path string) (*picture, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--png: %w", err)
	}
	return &picture{f}, nil
}

func (p *picture) write(data []byte) error {
	if p == nil {
		return nil
	}
	_, err := p.Write(data)
	return errors.Join(err, p.Close())
}

func (p *picture) discard() error {
	if p == nil {
		return nil
	}
	return errors.Join(p.Close(), os.Remove(p.Name()))
}

func printEnrollment(w io.Writer, enrolled view.Enrollment, code *qr.Code) error {
	drawQR(w, code)
	text := fmt.Sprintf("\n%s is enrolled. Scan the code with an authenticator program, or type the secret:\n\n  secret  %s\n  uri     %s\n\nRecovery codes, each of which counts once:\n\n",
		wire.Printable(enrolled.User), enrolled.Secret, wire.Printable(enrolled.URI))
	for _, one := range enrolled.RecoveryCodes {
		text += "  " + wire.Printable(one) + "\n"
	}
	_, err := fmt.Fprint(w, text+"\nNone of this is shown again.\n")
	return err
}

// quiet is the empty margin of a QR code, in modules: readers need it
// (ISO/IEC 18004, section 5.3.8, says 4; terminals show enough beyond 2).
const quiet = 2

// drawQR draws a QR code with half blocks, two rows in a line. Light modules are
// drawn, so that a dark terminal shows it the right way round, and most programs
// read it the other way as well.
func drawQR(w io.Writer, code *qr.Code) {
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

func ticketCommand(e *endpoint) *cobra.Command {
	var asJSON, replace bool
	cmd := &cobra.Command{
		Use:   "ticket USER",
		Short: "Let a user enrol themself, once",
		Long: `Let a user enrol themself, once, within an hour: keeperAgent --enroll asks them for
the ticket. Hand it to the user, and to nobody else.`,
		Example: "  KeeperAdminCLI mfa ticket anna\n  KeeperAdminCLI mfa ticket anna --replace",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := json.Marshal(map[string]bool{"replace": replace})
			if err != nil {
				return err
			}
			var t view.Ticket
			if err := e.post(cmd.Context(), "/api/Mfa/"+url.PathEscape(args[0])+"/ticket", body, &t); err != nil {
				return enrollFault(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), t)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s uses it until %s, once: keeperAgent --enroll\n",
				wire.Printable(t.Ticket), wire.Printable(t.User), t.Until.Local().Format(time.DateTime))
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&replace, "replace", false, "what the user has now may be ended by it")
	return cmd
}

func listFactorsCommand(e *endpoint) *cobra.Command {
	cmd := listCommand(e, "mfa", "/api/Mfa", "USER\tUSER ID\tSINCE\tBY\tRECOVERY CODES\tLOCKED OUT FOR", func(f view.Factor) []string {
		locked := "-"
		if f.LockedSeconds > 0 {
			locked = (time.Duration(f.LockedSeconds) * time.Second).String()
		}
		return []string{f.User, f.UserID, f.At.Local().Format(time.DateTime), f.By, strconv.Itoa(f.RecoveryCodes), locked}
	})
	cmd.Short = "List who has a second factor"
	return cmd
}

func removeFactorCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:   "remove USER",
		Short: "End the second factor of a user",
		Long: `End the second factor of a user. What asks them for MFA is refused until they are
enrolled again.

USER is a name, or a user id: the account may be gone.`,
		Example: "  KeeperAdminCLI mfa remove anna\n  KeeperAdminCLI mfa remove 1001",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.pass(cmd, http.MethodDelete, "/api/Mfa/"+url.PathEscape(args[0]), nil)
		},
	}
}
