package windows

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"kpm/core"
)

// What the Task Scheduler is told. It is text, so that every system compiles and
// tests it (learn.microsoft.com, "Task Scheduler Schema", "schtasks commands").

const (
	taskPrefix = "KeeperPrivilegeManager-"
	taskSchema = "http://schemas.microsoft.com/windows/2004/02/mit/task"
	taskAbout  = "KeeperPrivilegeManager ends rights that were given for a time"
	// taskTime is how times are written; Z has them be no place's.
	taskTime = "2006-01-02T15:04:05Z"
	// taskKept is for how long after its time a task that did not run is kept: a
	// machine can be off.
	taskKept = 30 * 24 * time.Hour
)

// ErrReplaced is what cannot be told to a program through the Task Scheduler.
var ErrReplaced = core.NewError(core.Invalid, "the Task Scheduler replaces % and $( by something else")

// task is the part of the schema that is used, in the order that the Scheduler itself
// writes it in.
type task struct {
	XMLName   xml.Name `xml:"Task"`
	Version   string   `xml:"version,attr"`
	Namespace string   `xml:"xmlns,attr"`

	About    string        `xml:"RegistrationInfo>Description"`
	Security string        `xml:"RegistrationInfo>SecurityDescriptor"`
	Trigger  taskTrigger   `xml:"Triggers>TimeTrigger"`
	As       taskPrincipal `xml:"Principals>Principal"`
	Settings taskSettings
	Actions  taskActions
}

type taskTrigger struct {
	StartBoundary, EndBoundary string
	Enabled                    bool
}

type taskPrincipal struct {
	ID               string `xml:"id,attr"`
	UserId, RunLevel string
}

type taskSettings struct {
	MultipleInstancesPolicy    string
	DisallowStartIfOnBatteries bool
	StopIfGoingOnBatteries     bool
	AllowHardTerminate         bool
	StartWhenAvailable         bool
	AllowStartOnDemand         bool
	Enabled                    bool
	DeleteExpiredTaskAfter     string
	ExecutionTimeLimit         string
}

type taskActions struct {
	Context string `xml:",attr"`
	Exec    taskExec
}

type taskExec struct{ Command, Arguments string }

// alarmTask is the definition of the task that runs argv as LocalSystem in that time,
// as a file that schtasks reads: UTF-16 with a mark of its byte order.
//
// Attack: an argument becomes two, or an element of the definition. argv is quoted
// as for every launch, and escaped by encoding/xml.
func alarmTask(in time.Duration, now time.Time, argv []string) ([]byte, error) {
	line, err := commandLine(argv)
	if err != nil {
		return nil, err
	}
	for i, arg := range argv {
		switch {
		case strings.ContainsFunc(arg, notXML):
			return nil, fmt.Errorf("argument %d: %w", i, ErrNotText)
		case strings.Contains(arg, "%"), strings.Contains(arg, "$("): // learn.microsoft.com, "IExecAction"
			return nil, fmt.Errorf("argument %d: %w", i, ErrReplaced)
		}
	}
	command := quote(argv[0])
	at := now.Add(max(in, 0)).UTC().Add(time.Second - 1).Truncate(time.Second) // never early
	t := task{
		Version: "1.2", Namespace: taskSchema, About: taskAbout, Security: taskSecurity,
		Trigger: taskTrigger{at.Format(taskTime), at.Add(taskKept).Format(taskTime), true},
		As:      taskPrincipal{"Author", string(localSystem), "HighestAvailable"},
		Settings: taskSettings{
			// A machine that was off, or slept, runs it late.
			StartWhenAvailable: true, MultipleInstancesPolicy: "IgnoreNew", AllowHardTerminate: true, Enabled: true,
			DeleteExpiredTaskAfter: "PT0S", ExecutionTimeLimit: "PT10M",
		},
		Actions: taskActions{Context: "Author", Exec: taskExec{command, strings.TrimPrefix(line[len(command):], " ")}},
	}
	var text bytes.Buffer
	text.WriteString(`<?xml version="1.0" encoding="UTF-16"?>` + "\n")
	encoder := xml.NewEncoder(&text)
	encoder.Indent("", "  ")
	if err := encoder.Encode(t); err != nil {
		return nil, err
	}
	file := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text.String())) {
		file = binary.LittleEndian.AppendUint16(file, unit)
	}
	return file, nil
}

// taskSecurity is the descriptor of a task: administrators alone see and change it.
const taskSecurity = "O:BAG:BAD:P(A;;FA;;;SY)(A;;FA;;;BA)"

// notXML reports whether XML 1.0 has no way to write r; encoding/xml would write
// something else.
func notXML(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
}

// setTask and clearTask are what the program schtasks is told. With /F nobody is
// asked, and a task of the name is replaced.
func setTask(program, name, definition string) []string {
	return []string{program, "/Create", "/TN", taskPrefix + name, "/XML", definition, "/F"}
}

func clearTask(program, name string) []string {
	return []string{program, "/Delete", "/TN", taskPrefix + name, "/F"}
}
