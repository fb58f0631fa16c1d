package admincli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"kpm/trust/identity"
)

// maxInput bounds a file that enroll reads, in bytes.
const maxInput = 1 << 20

func enrollCommand(a *agent) *cobra.Command {
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
			for _, name := range []string{"csr", "attestation", "activate", "certificate"} {
				if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
					return fmt.Errorf("--%s is empty, expected a file", name)
				}
			}
			k, err := a.machineKey()
			if err != nil {
				return err
			}
			ctx, stdout := cmd.Context(), cmd.OutOrStdout()
			switch {
			case csr != "":
				return k.request(ctx, stdout, csr)
			case attestation != "":
				return k.attest(ctx, stdout, attestation, nonce)
			case activate != "":
				return k.activate(ctx, stdout, activate, asJSON)
			}
			return k.install(ctx, stdout, certificate)
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

func (k machineKey) request(ctx context.Context, stdout io.Writer, file string) error {
	return k.with(ctx, func(i *identity.Identity) error {
		request, err := i.Request()
		if err != nil {
			return err
		}
		return k.output(stdout, file, request)
	})
}

func (k machineKey) attest(ctx context.Context, stdout io.Writer, file, nonce string) error {
	n, err := hex.DecodeString(nonce)
	if err != nil {
		return fmt.Errorf("--nonce is %q, expected hex", nonce)
	}
	return k.with(ctx, func(i *identity.Identity) error {
		a, err := i.Attest(ctx, n)
		if err != nil {
			return err
		}
		data, err := a.JSON()
		if err != nil {
			return err
		}
		return k.output(stdout, file, data)
	})
}

func (k machineKey) activate(ctx context.Context, stdout io.Writer, file string, asJSON bool) error {
	challenge, err := input(file)
	if err != nil {
		return err
	}
	return k.with(ctx, func(i *identity.Identity) error {
		answer, err := i.Activate(ctx, challenge)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if asJSON {
			return printJSON(stdout, map[string]identity.Hex{"secret": answer})
		}
		_, err = fmt.Fprintf(stdout, "%x\n", answer)
		return err
	})
}

func (k machineKey) install(ctx context.Context, stdout io.Writer, file string) error {
	chain, err := input(file)
	if err != nil {
		return err
	}
	if err := identity.Install(ctx, k.Config, chain); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	_, err = fmt.Fprintln(stdout, "installed; a service that runs finds it when it next opens the key")
	return err
}

// output writes a file that everyone may read, or to stdout.
func (k machineKey) output(stdout io.Writer, file string, data []byte) error {
	if file == "-" {
		_, err := stdout.Write(data)
		return err
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return k.files.WriteAtomic(path, data, 0o644)
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
