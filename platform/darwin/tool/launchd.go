package tool

import (
	"bytes"
	"encoding/xml"
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
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>` + Label + `</string>
	<key>ProgramArguments</key>
	<array>
`)
	for _, argument := range []string{path.Join(root, "KeeperPrivilegeManager"), "run", "--root", root} {
		b.WriteString("\t\t<string>")
		xml.EscapeText(&b, []byte(argument)) // a bytes.Buffer never fails
		b.WriteString("</string>\n")
	}
	b.WriteString(`	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<true/>
	<key>AbandonProcessGroup</key>
	<true/>
	<key>ProcessType</key>
	<string>Interactive</string>
	<key>ExitTimeOut</key>
	<integer>20</integer>
	<key>Umask</key>
	<integer>18</integer>
	<key>StandardErrorPath</key>
	<string>/var/log/` + Label + `.log</string>
</dict>
</plist>
`)
	return b.Bytes()
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
