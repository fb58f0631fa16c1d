package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/api/client/enrollment"
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
			picture, err := enrollment.NewPicture(png)
			if err != nil {
				return err
			}
			body, err := json.Marshal(map[string]bool{"replace": replace})
			if err != nil {
				return err
			}
			var enrolled view.Enrollment
			if err := e.post(cmd.Context(), "/api/Mfa/"+url.PathEscape(args[0]), body, &enrolled); err != nil {
				return errors.Join(enrollFault(err), picture.Discard())
			}
			if err := picture.Write(enrolled); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), enrolled)
			}
			return enrollment.Print(cmd.OutOrStdout(), enrolled)
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
