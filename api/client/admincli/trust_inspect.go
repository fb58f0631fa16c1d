package admincli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/core/port"
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
	// NotRead is what kind of file it is if its kind carries signatures that are
	// not read.
	NotRead string `json:"notRead,omitempty"`
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
no running service, and no agent: without one nobody is trusted, and signatures
are checked all the same. Run by root, it has files read by a process without any
privilege (keeperreader of the agent root, or beside this tool), as the service
does. A file that cannot be inspected does not keep others from it. The exit
status is 1 if a signature is broken, or if a file does not have the rank of
--need, and 2 if one could not be inspected.`,
		Example: "  KeeperAdminCLI trust inspect /opt/tool/bin/tool\n  KeeperAdminCLI trust inspect --need signed setup.exe\n  KeeperAdminCLI trust inspect --json *.msi",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rank, err := parseRank(need)
			if err != nil {
				return err
			}
			verifier, done, err := openVerifier(cmd.Context(), a, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer done()
			fault := false
			var failed []error
			for _, path := range args {
				found, err := inspect(cmd.Context(), verifier, path)
				if ctx := cmd.Context(); err != nil && ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					failed = append(failed, err)
					continue
				}
				fault = fault || found.Rank < rank || broken(found.Evidence)
				if err := printInspection(cmd.OutOrStdout(), found, asJSON); err != nil {
					return err
				}
			}
			if len(failed) > 0 {
				return errors.Join(failed...)
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

// openVerifier trusts whom the agent root names, and nobody if there is no
// agent. done ends what it keeps running.
func openVerifier(ctx context.Context, a *agent, diagnostics io.Writer) (v *provenance.Verifier, done func(), err error) {
	layout, err := a.layout()
	absent := errors.Is(err, fs.ErrNotExist) && a.root == "" && os.Getenv("KEEPER_AGENT_ROOT") == ""
	if absent {
		fmt.Fprintln(diagnostics, "KeeperAdminCLI: there is no agent here, so nobody is trusted; signatures are checked all the same (name an agent with --root)")
		layout, err = beside()
	}
	if err != nil {
		return nil, nil, err
	}
	host := a.Host(layout.Root())
	app := settings.App{}
	if !absent {
		if app, err = settings.LoadApp(layout.AppSettings(), host.Files.ReadProtected); err != nil {
			return nil, nil, err
		}
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

// beside is where this program lies: keeperreader lies there too.
func beside() (settings.Layout, error) {
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return settings.Layout{}, err
	}
	return settings.At(filepath.Dir(program), ""), nil
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
		return nil, nil, fmt.Errorf("%w; root has files read by keeperreader alone: name an agent root with --root, or run this as an ordinary user, who needs none", err)
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

// openRegular opens a regular file, and never waits: a named pipe would wait for whoever
// writes into it, and some devices do something when they are opened.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var f *os.File
	if info.Mode().IsRegular() {
		if f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
			return nil, err
		}
		if info, err = f.Stat(); err == nil && info.Mode().IsRegular() {
			return f, nil
		}
		f.Close()
	}
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s: it is a directory, expected a file: name those in it", path)
	}
	return nil, fmt.Errorf("%s: it is no regular file (%s), and only those are signed", path, info.Mode().Type())
}

func inspect(ctx context.Context, v *provenance.Verifier, path string) (inspection, error) {
	f, err := openRegular(path)
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
	// Of what has a format of its own the signatures are read, and there are none.
	if info, err := f.Stat(); err == nil && len(p.Evidence) == 0 && (p.Format == "other" || p.Format == "elf") {
		if found.NotRead, err = reader.Unread(f, info.Size()); err != nil {
			return inspection{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	if found.NotRead != "" {
		found.Reason = "it is " + found.NotRead + ", whose own signatures are not read here; no package lists it"
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
