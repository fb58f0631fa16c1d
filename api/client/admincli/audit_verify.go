package admincli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/wire"
	"kpm/launcher/journal"
)

// maxKeyFile bounds a file of public keys, in bytes.
const maxKeyFile = 1 << 20

// verifyGCPercent is how much the heap may grow between two looks at what of it is in
// use (runtime/debug, SetGCPercent).
const verifyGCPercent = 400

func verifyCommand(a *agent) *cobra.Command {
	var asJSON bool
	var keyFiles []string
	var want journal.Demand
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody changed or removed a record",
		Long: `Check every record against the one before it and against the head.

The first fault is reported with file, line and record; what comes after it is
not read. Faults that the service itself has noted are reported too. Where the
clock was set, or times go backwards, a line says so; that is no fault. The
service may be running.

With --key the checkpoints are held against the machine's public key: a PEM file
with public keys or certificates, taken from the machine when it was new and kept
elsewhere. Give the option again for each key that the machine has had. Without
it a journal that was rewritten as a whole may look unbroken.`,
		Example: `  KeeperAdminCLI audit verify
  KeeperAdminCLI audit verify --key /media/keys/host.pem --max-age 1h
  KeeperAdminCLI audit verify --root /srv/agent --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readDemand(&want, keyFiles, cmd.Flags().Changed("max-unsigned")); err != nil {
				return err
			}
			layout, err := a.layout()
			if err != nil {
				return err
			}
			// A process that reads and ends: 40 MB more, and a quarter less time.
			defer debug.SetGCPercent(debug.SetGCPercent(verifyGCPercent))
			report, err := journal.Verify(cmd.Context(), layout.Audit(), layout.State(), want)
			if err != nil {
				return err
			}
			if err := printReport(cmd.OutOrStdout(), report, asJSON); err != nil {
				return err
			}
			if report.Fault != nil || len(report.Noted) > 0 {
				return errFault
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print the result as JSON")
	flags.StringArrayVar(&keyFiles, "key", nil, "PEM file of the machine's public key or certificate")
	want.MaxUnsigned = time.Hour
	flags.Var(length{&want.MaxUnsigned}, "max-unsigned", "for how long records may have been added after the last signature; 0 is for ever")
	flags.Var(length{&want.MaxAge}, "max-age", "how old the last signature may be; 0 is any age")
	return cmd
}

// readDemand completes what is asked of the checkpoints.
func readDemand(want *journal.Demand, keyFiles []string, changed bool) error {
	switch {
	case want.MaxUnsigned < 0 || want.MaxAge < 0:
		return errors.New("a time is negative, expected 0 or more")
	case len(keyFiles) == 0 && (changed || want.MaxAge > 0):
		return errors.New("--max-unsigned and --max-age are about signatures: give the key with --key")
	}
	for _, name := range keyFiles {
		if name == "" {
			return errors.New("--key is empty, expected a file")
		}
		data, err := readKeyFile(name)
		if err != nil {
			return err
		}
		keys, err := journal.ReadKeys(data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		want.Keys = append(want.Keys, keys...)
	}
	want.Now = time.Now()
	return nil
}

func readKeyFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = fmt.Errorf("%s: more than %d bytes", name, maxKeyFile)
	}
	return data, err
}

func printReport(w io.Writer, r journal.Report, asJSON bool) error {
	if asJSON {
		return printJSON(w, r)
	}
	var b strings.Builder
	// Attack: whoever rewrites the journal puts a line break and "unbroken" into
	// what its fault quotes. Each of our lines stays one line.
	line := func(format string, args ...any) {
		b.WriteString(wire.Printable(fmt.Sprintf(format, args...)) + "\n")
	}
	for _, noted := range r.Noted {
		line("noted by the service: %s", noted)
	}
	for _, remark := range r.Clock {
		line("clock: %s", remark)
	}
	if f := r.Fault; f != nil {
		place := f.File
		if f.Line > 0 {
			place = fmt.Sprintf("%s, line %d, record %d", f.File, f.Line, f.Seq)
		}
		line("FAULT in %s", place)
		line("  found:    %s", f.Found)
		line("  expected: %s", f.Expected)
		if f.Remedy != "" {
			line("  remedy:   %s", f.Remedy)
		}
		if f.Line > 0 || r.Signed == nil {
			line("%d records before it are unbroken", r.Records)
		}
	} else {
		line("unbroken: records %d to %d in %d segments, head at %d", r.First, r.Last, r.Segments, r.Head)
	}
	if !r.Since.IsZero() {
		line("it reaches back to %s", r.Since.Local().Format("2006-01-02 15:04:05Z07:00"))
	}
	printSigned(line, r)
	if r.Unfinished > 0 {
		line("a last line of %d bytes is unfinished: the service is writing it, or was ended while it did", r.Unfinished)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printSigned says what the signatures cover, so that nobody takes more for
// signed than is.
func printSigned(line func(format string, args ...any), r journal.Report) {
	switch s := r.Signed; {
	case s == nil && r.Checkpoints > 0 && r.Fault == nil:
		line("checkpoints: %d, whose signatures were not checked: give the machine's public key with --key", r.Checkpoints)
	case s == nil:
	case s.Time.IsZero():
		line("signed: none of %d records", s.Unsigned)
	default:
		line("signed: up to record %d, at %s by key %s, checkpoints: %d; %d records after it are not",
			s.Record, s.Time.Local().Format("2006-01-02 15:04:05Z07:00"), s.Key, r.Checkpoints, s.Unsigned)
	}
}
