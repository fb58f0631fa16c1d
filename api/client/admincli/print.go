package admincli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kpm/core/wire"
)

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print the result as JSON")
}

// alwaysJSON are commands whose answer is JSON in any case.
var alwaysJSON = []string{"jobs cancel", "jobs new", "jobs reload", "jobs run", "jobs trigger", "mfa remove", "policy new", "settings app", "settings put", "settings revert", "settings revert-all"}

// takeJSON lets those take --json too, so that a script need not know which they are.
func takeJSON(root *cobra.Command) {
	for _, name := range alwaysJSON {
		if cmd, _, err := root.Find(strings.Fields(name)); err == nil {
			cmd.Flags().Bool("json", true, "the answer is JSON in any case")
		}
	}
}

// pass prints the service's own JSON.
func (e *endpoint) pass(cmd *cobra.Command, method, path string, body []byte) error {
	answer, err := e.call(cmd.Context(), method, path, body)
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), answer)
}

func printJSON(w io.Writer, value any) error {
	data, err := encode(value, "")
	if err == nil {
		_, err = w.Write(ascii(data))
	}
	return err
}

// encode writes value as JSON with a line feed behind it, and "&", "<" and ">" as
// they are: it is no HTML, and an address or a command is read and copied.
func encode(value any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(value)
	return b.Bytes(), err
}

// printTable aligns the columns of rows. Names and details come from files and
// programs: what could move a cursor or forge a row is replaced.
func printTable(w io.Writer, rows [][]string) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, wire.Printable(cell))
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// ascii escapes what is not ASCII in a JSON text, and changes nothing that it
// says: records hold what users typed, and a terminal must survive it.
func ascii(text []byte) []byte {
	var b []byte
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			b = append(b, byte(r))
		case r > 0xffff:
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}
