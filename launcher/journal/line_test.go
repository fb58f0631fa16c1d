package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// everything is a record that has every field.
func everything() Record {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	child := &Child{PID: 7, Start: 8, Group: "session:7-8"}
	caller := &Caller{Key: "abc", PID: 5, Start: 6, User: "1000", Payer: "1001"}
	exit := &core.ExitStatus{Code: 3, Signal: 9}
	terms := &core.ChildTerms{Rule: "inherit", UserID: "1000", User: "ada", TargetID: "0", Target: "root"}
	return Record{
		Seq: 1<<64 - 1, Time: now, Written: now.Add(time.Second), Type: Opened, Request: "R1",
		UserID: "1000", User: "a\"d\\a\u2028<\u00e4>\x7f", TargetID: "0", Target: "root",
		Program: &core.Executable{Requested: "apt", Path: "/usr/bin/apt", SHA256: noHash, Protected: true, Interpreter: "/bin/sh",
			Signers: []core.Signer{{}}, SignersKnown: true},
		Argv: []string{"apt", "", "{\"a\":[1,2]}", "\u00e4", "5", "6", "7", "8", "9"}, ArgvBytes: map[int][]byte{3: {0xff}},
		ArgvWhole: &ArgvWhole{Arguments: 9, Bytes: 99, SHA256: noHash}, Directory: "/home/ada", Seal: noHash,
		Origin:    &core.Origin{By: core.ByTerminal, Agent: "a", Terminal: "pts/1", Leader: core.ProcessID{PID: 3, Start: 4}, Session: "c1"},
		InsteadOf: "R0", Caller: caller, By: "KeeperPolicy", Cause: "allow", Message: "told, \"so\"",
		Controls: []core.Control{"MFA", "JUSTIFY"}, Policies: []core.PolicyRef{{ID: "p", Name: "A policy"}, {ID: "q", Name: "\u00dc"}},
		Paths: []core.PathArgument{{}}, Children: terms, Outcome: "ALLOW", FilterJobs: []string{"j"}, Grants: []string{"g"},
		Grant: &Grant{ID: "g", Everything: true, Seconds: 5, Uses: 1, Renewals: 2}, File: "/etc/hosts", Users: []core.UserID{"1000"},
		Group: "sudo", Child: child, Exit: exit, NotRun: true, Millis: 12, Killed: 2,
		Open: []Unfinished{{Request: "R1", Since: 3, Last: Launched, Child: child, Caller: caller, Exit: exit, NotRun: true, Children: terms}},
		Cut:  4, Fault: "a fault", First: 3, Count: 6, Since: now, Shift: -5000,
		Signed: &Signed{Seq: 3, Hash: noHash, First: 1, Time: now, Key: noHash, Signature: []byte{1, 2}}, Prev: noHash,
	}
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	line, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// asJSON is what package json says of a line, beside what plain says.
func asJSON(t *testing.T, line []byte) (said, want Record, took bool, err error) {
	t.Helper()
	took = said.plain(line, string(line))
	err = json.Unmarshal(line, &want)
	return said, want, took, err
}

// Every line that this package writes is read by plain, as package json reads it.
func TestLinesAreReadPlainly(t *testing.T) {
	whole := everything()
	v := reflect.ValueOf(whole)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the record that has everything has no %s", v.Type().Field(i).Name)
		}
		one := reflect.New(v.Type()).Elem() // of all, and of each field alone
		one.Field(i).Set(v.Field(i))
		checkPlain(t, encoded(t, one.Interface()))
	}
	checkPlain(t, encoded(t, whole))
	for i := range 3 {
		r := sample(i)
		r.Program.Protected, r.Exit = i == 1, &core.ExitStatus{}
		checkPlain(t, encoded(t, r))
	}
}

func checkPlain(t *testing.T, line []byte) {
	t.Helper()
	said, want, took, err := asJSON(t, line)
	if err != nil || !took || !reflect.DeepEqual(said, want) {
		t.Errorf("%s\n%v, taken %v\ngot  %+v\nwant %+v", line, err, took, said, want)
	}
}

// Lines are those of package json, to the byte.
func TestLinesAreWrittenAsJSON(t *testing.T) {
	checkLine := func(r Record) {
		t.Helper()
		got, err := r.line()
		if want := encoded(t, r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
		}
	}
	whole := everything()
	v := reflect.ValueOf(whole)
	for i := range v.NumField() {
		one := reflect.New(v.Type()).Elem()
		one.Field(i).Set(v.Field(i))
		checkLine(one.Interface().(Record))
	}
	checkLine(whole)
	checkLine(Record{Program: &core.Executable{}, Origin: &core.Origin{}, Caller: &Caller{}, Child: &Child{}, Exit: &core.ExitStatus{}})
	checkLine(Record{Argv: []string{}, Open: []Unfinished{}, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))})
	beyond := Record{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := beyond.line(); err == nil {
		t.Error("a time that JSON does not have was written")
	}
}

// Attack: a line reads one way for whoever verifies the journal, and another for whoever
// looks into it. What is not written as this package writes it is left to package json.
func TestOddLinesAreLeftToJSON(t *testing.T) {
	line := string(encoded(t, Record{Seq: 2, Type: Ended, Exit: &core.ExitStatus{Code: 1}, Killed: 3, Prev: noHash}))
	for name, change := range map[string][2]string{
		"space":                  {`,"type"`, `, "type"`},
		"another order":          {`{"seq":2,`, `{"type":"ended","seq":2,`},
		"a key twice":            {`"killed":3`, `"killed":3,"killed":4`},
		"in other letters":       {`"killed":3`, `"killed":3,"KILLED":4`},
		"an unknown key":         {`"killed":3`, `"kilt":3`},
		"null":                   {`"exit":{"code":1}`, `"exit":null`},
		"a key of a part twice":  {`{"code":1}`, `{"code":1,"code":2}`},
		"unknown, in a part":     {`{"code":1}`, `{"code":1,"x":{}}`},
		"a number as text":       {`"seq":2`, `"seq":"2"`},
		"a fraction":             {`"seq":2`, `"seq":2.0`},
		"a leading zero":         {`"seq":2`, `"seq":02`},
		"beyond 64 bits":         {`"seq":2`, `"seq":18446744073709551616`},
		"a number of less":       {`"seq":2`, `"seq":-2`},
		"something after it":     {noHash + `"}`, noHash + `"}{}`},
		"no end":                 {noHash + `"}`, noHash + `"`},
		"a control character":    {`"ended"`, "\"end\ned\""},
		"a time that is none":    {`0001-01-01`, `0001-13-01`},
		"another kind of value":  {`"killed":3`, `"killed":[3]`},
		"another kind, in a row": {`"killed":3`, `"grants":[3]`},
		"an empty list":          {`"killed":3`, `"grants":[]`},
	} {
		odd := bytes.Replace([]byte(line), []byte(change[0]), []byte(change[1]), 1)
		if string(odd) == line {
			t.Fatalf("%s: nothing was changed in %s", name, line)
		}
		var got Record
		if got.plain(odd, string(odd)) {
			t.Errorf("%s: %s was taken", name, odd)
		}
		_, want, _, wantErr := asJSON(t, odd)
		got, err := parseLine(odd)
		if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v and %v\ngot  %+v\nwant %+v", name, err, wantErr, got, want)
		}
	}
}

// Attack: a user's commands have long arguments and go on. What is kept of their records
// is not all of it.
func TestALongLineIsNotKeptForAPartOfIt(t *testing.T) {
	r := sample(0)
	r.Seq, r.Prev, r.Argv = 1, noHash, []string{strings.Repeat("x", 1<<20)}
	line := encoded(t, r)
	kept := make([]Record, 32)
	before := inUse()
	for i := range kept {
		all, err := parseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		kept[i] = Record{Request: all.Request, User: all.User}
	}
	if more := inUse() - before; more > 4<<20 {
		t.Errorf("%d bytes are kept", more)
	}
	runtime.KeepAlive(kept)
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Whatever plain takes, package json reads the same.
func FuzzLines(f *testing.F) {
	f.Add(encoded(f, everything()))
	f.Add(encoded(f, sample(1)))
	f.Add([]byte(`{"seq":1,"paths":[{"a":"\"]"}],"prev":"\ud800"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		said, want, took, err := asJSON(t, line)
		if took && (err != nil || !reflect.DeepEqual(said, want)) {
			t.Errorf("%q\n%v\ngot  %+v\nwant %+v", line, err, said, want)
		}
		if err == nil { // and what is written is what it would write
			again, err := want.line()
			if expected := encoded(t, want); err != nil || !bytes.Equal(again, expected) {
				t.Errorf("%v\ngot  %s\nwant %s", err, again, expected)
			}
		}
	})
}
