package windows

import (
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"kpm/core"
)

// definition is what schtasks reads of a file.
func definition(t *testing.T, file []byte) string {
	t.Helper()
	if len(file) < 2 || len(file)%2 != 0 || file[0] != 0xff || file[1] != 0xfe {
		t.Fatalf("not UTF-16 with a mark: % x", file[:min(len(file), 16)])
	}
	units := make([]uint16, 0, len(file)/2)
	for i := 2; i < len(file); i += 2 {
		units = append(units, uint16(file[i])|uint16(file[i+1])<<8)
	}
	return string(utf16.Decode(units))
}

// What the Task Scheduler is told, by the elements that its schema has
// (learn.microsoft.com, "Task Scheduler Schema": Task, triggerBaseType,
// principalType, settingsType, execActionType), in the order of its own exports.
func TestAlarmTask(t *testing.T) {
	now := time.Date(2026, 11, 28, 23, 59, 58, 300_000_000, time.FixedZone("", 3600))
	argv := []string{`C:\Program Files\Keeper & Söhne\KeeperPrivilegeManager.exe`, "rights", "end-overdue", "--root", `C:\Program Files\Keeper & Söhne\`, `a"b`, ""}
	file, err := alarmTask(1500*time.Millisecond, now, argv)
	if err != nil {
		t.Fatal(err)
	}
	const want = `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>KeeperPrivilegeManager ends rights that were given for a time</Description>
    <SecurityDescriptor>O:BAG:BAD:P(A;;FA;;;SY)(A;;FA;;;BA)</SecurityDescriptor>
  </RegistrationInfo>
  <Triggers>
    <TimeTrigger>
      <StartBoundary>2026-11-28T23:00:00Z</StartBoundary>
      <EndBoundary>2026-12-28T23:00:00Z</EndBoundary>
      <Enabled>true</Enabled>
    </TimeTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>S-1-5-18</UserId>
      <RunLevel>HighestAvailable</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <AllowStartOnDemand>false</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <DeleteExpiredTaskAfter>PT0S</DeleteExpiredTaskAfter>
    <ExecutionTimeLimit>PT10M</ExecutionTimeLimit>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>&#34;C:\Program Files\Keeper &amp; Söhne\KeeperPrivilegeManager.exe&#34;</Command>
      <Arguments>rights end-overdue --root &#34;C:\Program Files\Keeper &amp; Söhne\\&#34; &#34;a\&#34;b&#34; &#34;&#34;</Arguments>
    </Exec>
  </Actions>
</Task>`
	if got := definition(t, file); got != want {
		t.Errorf("%s\nexpected\n%s", got, want)
	}
	// Never early.
	for in, start := range map[time.Duration]string{700 * time.Millisecond: "22:59:59Z", 701 * time.Millisecond: "23:00:00Z", 30 * time.Minute: "23:29:59Z", -time.Hour: "22:59:59Z"} {
		file, err := alarmTask(in, now, argv)
		if err != nil || !strings.Contains(definition(t, file), "T"+start+"</StartBoundary>") {
			t.Errorf("in %s: %v, expected %s", in, err, start)
		}
	}
}

// Attack: an argument becomes an element of the definition, another argument, or what
// a variable of the machine says. A program that follows the rules is given argv.
func TestAlarmTaskPassesArgvAsItIs(t *testing.T) {
	for _, argv := range [][]string{
		{`C:\k.exe`},
		{`C:\k.exe`, `</Arguments></Exec><Exec><Command>cmd.exe</Command>`, `]]>`, "<!--", `\\`, `\"`, "\t\n", "𝄞"},
		{`C:\a b\k.exe`, "--root", `C:\a b\`},
	} {
		file, err := alarmTask(time.Minute, time.Now(), argv)
		if err != nil {
			t.Fatalf("%q: %v", argv, err)
		}
		var read struct {
			Command   string `xml:"Actions>Exec>Command"`
			Arguments string `xml:"Actions>Exec>Arguments"`
		}
		text := strings.Replace(definition(t, file), "UTF-16", "UTF-8", 1)
		if err := xml.Unmarshal([]byte(text), &read); err != nil {
			t.Fatalf("%q: %v in %s", argv, err, text)
		}
		if got := split(read.Command + " " + read.Arguments); !slices.Equal(got, argv) {
			t.Errorf("%q became %q", argv, got)
		}
	}
	for what, c := range map[string]struct {
		argv []string
		want error
	}{
		"none":               {nil, ErrNoArgv},
		"a NUL":              {[]string{`C:\k.exe`, "a\x00"}, ErrNotText},
		"half a pair":        {[]string{`C:\k.exe`, "\xed\xa0\x80"}, ErrNotText},
		"no character":       {[]string{`C:\k.exe`, "\x01"}, ErrNotText},
		"too long":           {[]string{`C:\k.exe`, strings.Repeat("x", maxCommandLine)}, ErrTooLong},
		"a variable":         {[]string{`C:\k.exe`, "%TEMP%"}, ErrReplaced},
		"a variable program": {[]string{`%TEMP%\k.exe`}, ErrReplaced},
		"an argument of run": {[]string{`C:\k.exe`, "$(Arg0)"}, ErrReplaced},
	} {
		if _, err := alarmTask(time.Minute, time.Now(), c.argv); !errors.Is(err, c.want) || core.KindOf(err) == core.Internal {
			t.Errorf("%s: %v, expected %v", what, err, c.want)
		}
	}
}

// The program is called by its path, with one argument for each thing
// (learn.microsoft.com, "schtasks create", "schtasks delete").
func TestSchtasks(t *testing.T) {
	const program = `C:\Windows\System32\schtasks.exe`
	if got, want := setTask(program, "G7", `C:\a b\alarm-G7.xml`), []string{program, "/Create", "/TN", "KeeperPrivilegeManager-G7", "/XML", `C:\a b\alarm-G7.xml`, "/F"}; !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
	if got, want := clearTask(program, "G7"), []string{program, "/Delete", "/TN", "KeeperPrivilegeManager-G7", "/F"}; !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
}
