package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/port"
	"kpm/core/wire"
	"kpm/platform"
	"kpm/settings"
	"kpm/trust/identity"
)

// maxInput bounds a file that enroll reads, in bytes.
const maxInput = 1 << 20

// identityCommands are the commands of `trust` that are about the machine key.
func identityCommands(o *options) []*cobra.Command {
	return []*cobra.Command{keyStatusCommand(o), enrollCommand(o), rotateCommand(o)}
}

// custody is the machine key of an agent root, and what writes files there.
type custody struct {
	identity.Config
	files port.Files
}

// custody finds the machine key that the service of the agent root has.
func (o *options) custody() (custody, error) {
	layout, err := o.layout()
	if err != nil {
		return custody{}, err
	}
	host := platform.Tools(layout.Root())
	app, err := settings.LoadApp(layout.AppSettings(), host.Files.Protected)
	if err != nil {
		return custody{}, err
	}
	return custody{identity.Config{
		Dir: layout.Identity(), Keys: host.Keys, Device: app.TPMDevice, Store: app.KeyStore,
		WriteAtomic: host.Files.WriteAtomic, Lock: host.Files.Lock, Private: host.Files.Private,
	}, host.Files}, nil
}

func keyStatusCommand(o *options) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether this machine can vouch for itself, and with what",
		Long: `Say whether this machine can vouch for itself: where its key is, whether it
signs, what its certificate is worth, and what is to be done. The key signs once
for it.

Assurance tpm means that the key cannot leave the TPM, software that it is a
file. Run this as root. It needs no running service. The exit status is 1 if
there is anything to be seen to.`,
		Example: "  KeeperAdminCLI trust status\n  KeeperAdminCLI trust status --json --root /srv/agent",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.custody()
			if err != nil {
				return err
			}
			s, err := identity.Inspect(cmd.Context(), c.Config)
			if err != nil {
				return err
			}
			if err := printIdentity(cmd.OutOrStdout(), s, asJSON); err != nil {
				return err
			}
			if s.State != identity.Ready || len(s.Problems) > 0 {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printIdentity(w io.Writer, s identity.Status, asJSON bool) error {
	if asJSON {
		return printJSON(w, s)
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, wire.Printable(value)) // a TPM's words are whoever's is on its bus
		}
	}
	line("machine key", s.State)
	line("assurance", string(s.Assurance))
	line("key id", s.KeyID)
	if !s.Made.IsZero() {
		line("made", s.Made.Local().Format(time.DateTime))
	}
	line("device", s.Device)
	if t := s.TPM; t != nil {
		line("tpm", fmt.Sprintf("%s %s, firmware %s, specification %s", t.Manufacturer, t.Vendor, t.Firmware, t.Revision))
	}
	line("sealed under", s.SealedUnder)
	if c := s.Certificate; c != nil {
		line("certificate", c.Subject)
		issuer := c.Issuer
		if !c.Issued {
			issuer = "the machine itself"
		}
		line("issued by", issuer)
		line("valid", fmt.Sprintf("%s to %s, %d days left", c.NotBefore.Local().Format(time.DateTime), c.NotAfter.Local().Format(time.DateTime), c.DaysLeft))
	}
	for _, id := range s.Retired {
		line("earlier key", id)
	}
	for _, note := range s.Notes {
		line("note", note)
	}
	for _, problem := range s.Problems {
		line("PROBLEM", problem)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func enrollCommand(o *options) *cobra.Command {
	var csr, certificate, attestation, nonce, activate string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "Get this machine a certificate, and prove where its key is",
		Long: `Get this machine a certificate from a backend's CA, in steps:

  --csr           write a certificate request (PKCS #10) for the machine key
  --attestation   write what proves that the key is in a TPM, for the nonce
                  that the backend gave: quote, certification, endorsement key
  --activate      answer the challenge (JSON) that the backend made of it; the
                  answer is printed in hex, for the backend
  --certificate   install the chain that the backend issued, PEM, the machine's
                  certificate first

FILE may be - for standard output. Run this as root. It needs no running
service; one that runs finds a new certificate when it next opens the key.`,
		Example: `  KeeperAdminCLI trust enroll --csr machine.csr
  KeeperAdminCLI trust enroll --attestation machine.json --nonce 8f3c2b6a5d4e1f7089abcdef01234567
  KeeperAdminCLI trust enroll --activate challenge.json
  KeeperAdminCLI trust enroll --certificate issued.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.custody()
			if err != nil {
				return err
			}
			ctx, stdout := cmd.Context(), cmd.OutOrStdout()
			switch {
			case csr != "":
				return c.request(ctx, stdout, csr)
			case attestation != "":
				return c.attest(ctx, stdout, attestation, nonce)
			case activate != "":
				return c.activate(ctx, stdout, activate, asJSON)
			}
			return c.install(ctx, stdout, certificate)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&csr, "csr", "", "write a certificate request to `FILE`")
	flags.StringVar(&attestation, "attestation", "", "write an attestation to `FILE`")
	flags.StringVar(&nonce, "nonce", "", "the backend's nonce for it, 16 to 32 bytes in `HEX`")
	flags.StringVar(&activate, "activate", "", "answer the challenge in `FILE`")
	flags.StringVar(&certificate, "certificate", "", "install the certificates in `FILE`")
	flags.BoolVar(&asJSON, "json", false, "print the answer of --activate as JSON")
	cmd.MarkFlagsOneRequired("csr", "attestation", "activate", "certificate")
	cmd.MarkFlagsMutuallyExclusive("csr", "attestation", "activate", "certificate")
	cmd.MarkFlagsRequiredTogether("attestation", "nonce")
	return cmd
}

// prepare makes the directory that the service would make at its first start: a
// machine can be enrolled before that.
func (c custody) prepare() error {
	if err := os.Mkdir(filepath.Dir(c.Dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// with opens the machine key for do.
func (c custody) with(ctx context.Context, do func(*identity.Identity) error) error {
	if err := c.prepare(); err != nil {
		return err
	}
	i, err := identity.Open(ctx, c.Config)
	if err != nil {
		return err
	}
	err = do(i)
	if closeErr := i.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (c custody) request(ctx context.Context, stdout io.Writer, file string) error {
	return c.with(ctx, func(i *identity.Identity) error {
		request, err := i.Request()
		if err != nil {
			return err
		}
		return c.output(stdout, file, request)
	})
}

func (c custody) attest(ctx context.Context, stdout io.Writer, file, nonce string) error {
	n, err := hex.DecodeString(nonce)
	if err != nil {
		return fmt.Errorf("--nonce is %q, expected hex", nonce)
	}
	return c.with(ctx, func(i *identity.Identity) error {
		a, err := i.Attest(ctx, n)
		if err != nil {
			return err
		}
		data, err := a.JSON()
		if err != nil {
			return err
		}
		return c.output(stdout, file, data)
	})
}

func (c custody) activate(ctx context.Context, stdout io.Writer, file string, asJSON bool) error {
	challenge, err := input(file)
	if err != nil {
		return err
	}
	return c.with(ctx, func(i *identity.Identity) error {
		answer, err := i.Activate(ctx, challenge)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(stdout, map[string]identity.Hex{"secret": answer})
		}
		_, err = fmt.Fprintf(stdout, "%x\n", answer)
		return err
	})
}

func (c custody) install(ctx context.Context, stdout io.Writer, file string) error {
	chain, err := input(file)
	if err != nil {
		return err
	}
	if err := identity.Install(ctx, c.Config, chain); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "installed; a service that runs finds it when it next opens the key")
	return err
}

// output writes a file that everyone may read, or to stdout.
func (c custody) output(stdout io.Writer, file string, data []byte) error {
	if file == "-" {
		_, err := stdout.Write(data)
		return err
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return c.files.WriteAtomic(path, data, 0o644)
}

// input reads a file of at most maxInput bytes.
func input(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxInput {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxInput)
	}
	return data, nil
}

func rotateCommand(o *options) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new machine key in place of the current one",
		Long: `Make a new machine key in place of the current one, where Settings:KeyStore
says. It is the remedy when trust status says that the key cannot be used, as
after the TPM was cleared.

The old private key is removed; its public key is kept, for verifying what it
signed. An issued certificate goes with its key: enroll again. Sealed secrets
stay readable, unless the TPM was cleared or exchanged. A service that runs signs
with the new key from its next checkpoint on.

Run this as root.`,
		Example: "  KeeperAdminCLI trust rotate\n  KeeperAdminCLI trust rotate --json --root /srv/agent",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.custody()
			if err != nil {
				return err
			}
			if err := c.prepare(); err != nil {
				return err
			}
			if err := identity.Rotate(cmd.Context(), c.Config); err != nil {
				return err
			}
			s, err := identity.Inspect(cmd.Context(), c.Config)
			if err != nil {
				return err
			}
			if err := printIdentity(cmd.OutOrStdout(), s, asJSON); err != nil || asJSON {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "a service that runs signs with the new key from its next checkpoint on")
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
