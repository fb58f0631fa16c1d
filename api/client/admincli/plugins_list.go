package admincli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// plugin is a row of the API's list.
type plugin struct {
	ID, Name, Status, Detail string
	ProcessID                int
	LastStartTime            time.Time
}

func listPluginsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "plugins", "/api/plugins", "ID\tSTATUS\tPROCESS\tSTARTED\tDETAIL", func(p plugin) []string {
		process, started := "", ""
		if p.ProcessID != 0 {
			process = strconv.Itoa(p.ProcessID)
		}
		if !p.LastStartTime.IsZero() {
			started = p.LastStartTime.Local().Format(time.DateTime)
		}
		return []string{p.ID, p.Status, process, started, p.Detail}
	})
}
