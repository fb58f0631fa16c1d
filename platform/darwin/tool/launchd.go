package tool

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"path"
	"strconv"

	"kpm/core/port"
)

// Label is the service's name for launchd, and DaemonFile where its description
// belongs (launchd.plist(5)).
const (
	Label      = "keeper-privilege-manager"
	DaemonFile = "/Library/LaunchDaemons/" + Label + ".plist"
)

// Daemon returns the service's description for launchd, of an agent in root.
//
// KeepAlive starts the service again whatever it ended by. AbandonProcessGroup
// leaves running commands alone when it ends, as an upgrade must (decision 32).
// Without ProcessType launchd takes a daemon's processor and disk from it, and from
// everything that it starts. ExitTimeOut is what an orderly stop may take, in
// seconds. There is no UserName: the service is root.
func Daemon(root string) []byte {
	return description([]property{
		{"Label", Label},
		{"ProgramArguments", []string{path.Join(root, "KeeperPrivilegeManager"), "run", "--root", root}},
		{"RunAtLoad", true},
		{"KeepAlive", true},
		{"AbandonProcessGroup", true},
		{"ProcessType", "Interactive"},
		{"ExitTimeOut", 20},
		{"Umask", 0o022},
		{"StandardErrorPath", "/var/log/" + Label + ".log"},
	})
}

// property is one of a description: a string, strings, a number, true, or properties.
type property struct {
	key   string
	value any
}

// description is what launchd reads of a job.
func description(list []property) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`)
	describe(&b, "", list)
	b.WriteString("</plist>\n")
	return b.Bytes()
}

func describe(b *bytes.Buffer, indent string, list []property) {
	text := func(kind, content string) {
		b.WriteString("<" + kind + ">")
		xml.EscapeText(b, []byte(content)) // a bytes.Buffer never fails
		b.WriteString("</" + kind + ">\n")
	}
	b.WriteString(indent + "<dict>\n")
	for _, p := range list {
		b.WriteString(indent + "\t")
		text("key", p.key)
		if value, ok := p.value.([]property); ok {
			describe(b, indent+"\t", value)
			continue
		}
		b.WriteString(indent + "\t")
		switch value := p.value.(type) {
		case string:
			text("string", value)
		case int:
			text("integer", strconv.Itoa(value))
		case bool:
			fmt.Fprintf(b, "<%t/>\n", value)
		case []string:
			b.WriteString("<array>\n")
			for _, element := range value {
				b.WriteString(indent + "\t\t")
				text("string", element)
			}
			b.WriteString(indent + "\t</array>\n")
		}
	}
	b.WriteString(indent + "</dict>\n")
}

// Service is the daemon as launchctl's subcommands take it.
const Service = "system/" + Label

// Printed reads what launchctl print says of the daemon: its state, as
// port.ServiceStatus has it, and its process, 0 if there is none. launchctl(1) says
// that this is for people and may change: what is not understood is a stopped one.
func Printed(text []byte) (state string, pid int) {
	state = port.ServiceStopped
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" = "))
		switch string(name) {
		case "state":
			if string(value) == "running" {
				state = port.ServiceRunning
			}
		case "pid":
			pid, _ = strconv.Atoi(string(value)) // 0 if it is none
		}
	}
	return state, pid
}
