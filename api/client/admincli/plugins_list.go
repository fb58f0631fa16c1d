package admincli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func listPluginsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "plugins", "/api/plugins", "ID\tSTATUS\tPROCESS\tSTARTED\tDETAIL", func(p view.Plugin) []string {
		process, started := "", ""
		if p.ProcessID != 0 {
			process = strconv.Itoa(p.ProcessID)
		}
		if !p.LastStartTime.IsZero() {
			started = p.LastStartTime.Local().Format(time.DateTime)
		}
		return []string{p.ID, string(p.Status), process, started, wire.PrintableLine(p.Detail)}
	})
}
