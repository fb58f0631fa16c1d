package admincli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/settings"
	"kpm/trust/provenance"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
)

// inspection is what trust inspect says about one file.
type inspection struct {
	File   string    `json:"file"`
	Rank   core.Rank `json:"rank"`
	Reason string    `json:"reason,omitempty"` // why it is no higher
	core.Provenance
}

func inspectCommand(a *agent) *cobra.Command {
	var asJSON bool
	var need string
	cmd := &cobra.Command{
		Use:   "inspect FILE...",
		Short: "Show who has signed a file",
		Long: `Show all evidence about a file: signatures within it and beside it, attributes,
catalogs, packages, and the operating system's own answer; what each of them is
worth here, and why.

Which signers to trust is read from appsettings.json of the agent root. It needs
no running service. Run by root, it has files read by a process without any
privilege, as the service does. The exit status is 1 if a signature is broken,
or if the file does not have the rank of --need.`,
		Example: "  KeeperAdminCLI trust inspect /opt/tool/bin/tool\n  KeeperAdminCLI trust inspect --need signed setup.exe\n  KeeperAdminCLI trust inspect --json *.msi",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rank, err := parseRank(need)
			if err != nil {
				return err
			}
			verifier, done, err := openVerifier(cmd.Context(), a)
			if err != nil {
				return err
			}
			defer done()
			fault := false
			for _, path := range args {
				found, err := inspect(cmd.Context(), verifier, path)
				if err != nil {
					return err
				}
				fault = fault || found.Rank < rank || broken(found.Evidence)
				if err := printInspection(cmd.OutOrStdout(), found, asJSON); err != nil {
					return err
				}
			}
			if fault {
				return errFault
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each file")
	cmd.Flags().StringVar(&need, "need", core.RankNone.String(), "least rank: none, recorded, packaged or signed")
	return cmd
}

func parseRank(name string) (core.Rank, error) {
	for _, rank := range []core.Rank{core.RankNone, core.RankRecorded, core.RankPackaged, core.RankSigned} {
		if rank.String() == name {
			return rank, nil
		}
	}
	return 0, fmt.Errorf("--need %s: expected none, recorded, packaged or signed", name)
}

// maxTrustFile bounds a file of certificates, keys or revocations, in bytes.
const maxTrustFile = 16 << 20

// openVerifier trusts whom the agent root names. done ends what it keeps running.
func openVerifier(ctx context.Context, a *agent) (v *provenance.Verifier, done func(), err error) {
	layout, err := a.layout()
	if err != nil {
		return nil, nil, err
	}
	host := a.Host(layout.Root())
	app, err := settings.LoadApp(layout.AppSettings(), host.Files.ReadProtected)
	if err != nil {
		return nil, nil, err
	}
	bundle, err := app.Trust.Sources(layout.Root()).Read(func(path string) ([]byte, error) {
		return host.Files.ReadProtected(path, maxTrustFile)
	})
	if err != nil {
		return nil, nil, err
	}
	trusted, done, err := openReader(ctx, host, layout.Reader(), bundle)
	if err != nil {
		return nil, nil, err
	}
	return provenance.NewVerifier(provenance.Config{Files: host.Files, System: host.Signatures, PackageRoot: "/"}, trusted), done, nil
}

// openReader reads files in a process without any privilege if this one is an
// administrator's, and in this one otherwise: then it has none that whoever runs
// it had not. An administrator looks at files before trusting them.
func openReader(ctx context.Context, host port.Host, program string, bundle *reader.Bundle) (trusted *provenance.Trusted, done func(), err error) {
	if !host.Accounts.Administrator() {
		read, err := judge.New(bundle, time.Now)
		if err != nil {
			return nil, nil, err
		}
		trusted, err = provenance.NewTrusted(read, bundle)
		return trusted, func() {}, err
	}
	// Attack: a root below which somebody else decides what runs as root.
	handle, err := host.Files.LocateProtected(program)
	if err != nil {
		return nil, nil, err
	}
	handle.Close()
	pool, err := reader.NewPool(host.Confiner, bundle, reader.Limits{Most: 1})
	if err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	done = func() {
		pool.Close()
		host.Close() // nothing that it can say matters to who has the verdict
	}
	if err = pool.Start(ctx); err == nil {
		trusted, err = provenance.NewTrusted(pool, bundle)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return trusted, done, nil
}

func inspect(ctx context.Context, v *provenance.Verifier, path string) (inspection, error) {
	f, err := os.Open(path)
	if err != nil {
		return inspection{}, err
	}
	defer f.Close()
	p, err := v.Provenance(ctx, f, nil)
	if err != nil {
		return inspection{}, err
	}
	found := inspection{File: path, Rank: p.Rank(), Provenance: p}
	if found.Rank < core.RankSigned {
		found.Reason = provenance.Why(p)
	}
	return found, nil
}

func broken(list []core.Evidence) bool {
	for _, e := range list {
		if e.Standing == core.Broken {
			return true
		}
	}
	return false
}

func printInspection(w io.Writer, found inspection, asJSON bool) error {
	if asJSON {
		return printJSON(w, found)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  format  %s\n  rank    %s", wire.Printable(found.File), found.Format, found.Rank)
	if found.Reason != "" {
		fmt.Fprintf(&b, " (%s)", wire.Printable(found.Reason))
	}
	b.WriteByte('\n')
	for _, e := range found.Evidence {
		explain(&b, e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// explain prints one piece of evidence. What it has from the file is one line,
// whatever the file says (CVE-2023-28486): a name with a line break would print
// evidence of its own.
func explain(b *strings.Builder, e core.Evidence) {
	fmt.Fprintf(b, "\n  %s: %s\n    %s\n", e.Kind, strings.ToUpper(e.Standing.String()), wire.Printable(e.Reason))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "    %-11s %s\n", name, wire.Printable(value))
		}
	}
	if e.Standing == core.Trusted {
		line("worth", e.Rank.String())
		line("signer", e.Signer)
	} else {
		// What nobody has signed must not read like a fact (CVE-2020-12614).
		line("worth", "nothing; "+e.Rank.String()+" if it were trusted")
		line("claims", prefixed("to be of ", e.Signer))
	}
	line("identifier", e.Identifier)
	line("team", prefixed("team:", e.TeamID))
	line("key", prefixed("key:", e.KeyID))
	line("digest", e.Digest)
	if !e.SignedAt.IsZero() {
		line("signed", e.SignedAt.UTC().Format(time.RFC3339)+" ("+e.TimeStamp+")")
	}
	for i, c := range e.Chain {
		role := "certificate"
		if i > 0 {
			role = "issued by"
		}
		line(role, c.Subject)
		line("  valid", c.NotBefore.UTC().Format(time.DateOnly)+" to "+c.NotAfter.UTC().Format(time.DateOnly)+", serial "+c.Serial)
		if i == 0 {
			line("  sha1", c.SHA1)
			line("  sha256", c.SHA256)
			line("  key", "spki:"+c.SPKI)
			continue
		}
		line("  key", "ca:"+c.SPKI)
	}
	for _, c := range e.Checks {
		text := c.Name + ": " + c.Outcome
		if c.Detail != "" {
			text += " (" + c.Detail + ")"
		}
		line("check", text)
	}
}

func prefixed(prefix, value string) string {
	if value == "" {
		return ""
	}
	return prefix + value
}
