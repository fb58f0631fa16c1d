package macho

import (
	"fmt"
	"strings"

	"kpm/core"
)

// claims adds what the signature says about the program beyond its bytes, and
// what of that is not checked here. None of it changes the standing: it says
// how well the program keeps others out once it runs.
func (j *judgement) claims(requirements map[uint32]*Requirement) {
	d := j.sig.best
	j.check("code signing flags", core.Passed, flagNames(d.flags))
	if d.flags&flagRuntime != 0 {
		j.check("hardened runtime", core.Passed, runtimeVersion(d.runtime))
	} else {
		j.check("hardened runtime", core.Weak, "off")
	}
	j.libraryValidation(d.flags)
	j.weakened()
	if d.execBase != 0 || d.execLimit != 0 || d.execFlags != 0 {
		j.check("executable segment", core.Passed, fmt.Sprintf("offset %d, %d bytes, flags 0x%x", d.execBase, d.execLimit, d.execFlags))
	}
	if d.platform != 0 {
		j.check("platform", core.NotChecked, fmt.Sprintf("it says that it is part of platform %d, which only the system's own files are", d.platform))
	}
	if d.linkage {
		j.check("linkage", core.NotChecked, "")
	}
	if d.preEncrypt {
		j.check("pages before encryption", core.NotChecked, "the file is encrypted")
	}
	if d.specialSlot(slotResources) != nil {
		j.check("sealed resources", core.NotChecked, "they lie beside the file")
	}
	for slot := uint32(slotConstraints); slot <= slotLibraries; slot++ {
		if _, there := j.sig.blobs[slot]; there {
			j.check("launch constraint "+constraintName(slot), core.NotChecked, "intact; enforced by the system only")
		}
	}
	if r := requirements[requirementLibrary]; r != nil {
		j.check("library requirement", core.NotChecked, r.String())
	}
	if n := j.sig.behind; n > 0 {
		j.check("behind the signature", core.NotChecked, fmt.Sprintf("%d bytes in the space for it that nobody signs and no loader reads", n))
	}
	j.check("notarisation", core.NotChecked, "the ticket is not in the file; it goes by the code directory hash")
}

// libraryValidation: the hardened runtime implies it unless an entitlement
// gives it up (Apple, "Hardened Runtime").
func (j *judgement) libraryValidation(flags uint32) {
	gaveUp := ""
	for _, e := range j.may.weak {
		if strings.HasSuffix(e, "library-validation") {
			gaveUp = e
		}
	}
	switch {
	case flags&(flagLibraryValidation|flagRuntime) == 0:
		j.check("library validation", core.Weak, "off")
	case gaveUp != "":
		j.check("library validation", core.Weak, gaveUp)
	default:
		j.check("library validation", core.Passed, "")
	}
}

func (j *judgement) weakened() {
	const name = "entitlements"
	switch {
	case len(j.may.weak) > 0:
		j.check(name, core.Weak, strings.Join(j.may.weak, ", "))
	case j.may.fault != "":
		j.check(name, core.Failed, j.may.fault)
	case len(j.may.values) == 0:
		j.check(name, core.Passed, "none")
	default:
		j.check(name, core.Passed, fmt.Sprintf("%d, none of which opens it to others", len(j.may.values)))
	}
}

func flagNames(flags uint32) string {
	var names []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{
		{flagAdHoc, "adhoc"}, {flagHard, "hard"}, {flagKill, "kill"}, {flagExpires, "expires"}, {flagRestrict, "restrict"},
		{flagEnforcement, "enforcement"}, {flagLibraryValidation, "library-validation"}, {flagRuntime, "runtime"}, {flagLinkerSigned, "linker-signed"},
	} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
			flags &^= f.bit
		}
	}
	if flags != 0 {
		names = append(names, fmt.Sprintf("0x%x", flags))
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

func runtimeVersion(v uint32) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
}

func constraintName(slot uint32) string {
	return [...]string{"on itself", "on its parent", "on who is responsible", "on its libraries"}[slot-slotConstraints]
}
