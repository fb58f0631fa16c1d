package macho

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"slices"
	"testing"

	"kpm/core"
	"kpm/trust/archive"
	"kpm/trust/trusttest"
)

// Parts of the tiny image that manipulations aim at.
const (
	atCommandCount = 16
	atCommandSize  = 20
	atText         = header64Size
	atTextSections = segment64Size + section64Size
	atLinkedit     = atText + atTextSections
	atCodeSign     = atLinkedit + segment64Size
)

func put32(p []byte, at int, v uint32) { binary.LittleEndian.PutUint32(p[at:], v) }
func put64(p []byte, at int, v uint64) { binary.LittleEndian.PutUint64(p[at:], v) }

// TestNobodyWithoutTheKey changes a signed file in every way that needs no key.
func TestNobodyWithoutTheKey(t *testing.T) {
	entitled := sign(t, tiny(little64(), arm64, nil), signing{team: trusttest.TeamID, flags: flagRuntime,
		entitlements: plistOf("<key>com.apple.security.network.client</key><true/>"), entitlementsDER: derTrue("com.apple.security.network.client")})
	want(t, anchors(t), entitled, core.Trusted, "")
	other := sign(t, tiny(little64(), arm64, []byte("another program")), signing{team: trusttest.TeamID, identifier: "com.example.other"})
	at := place(t, entitled)
	sig := int(at.offset)
	length := int(binary.BigEndian.Uint32(entitled[sig+4:]))
	count := int(binary.BigEndian.Uint32(entitled[sig+8:]))
	be := binary.BigEndian

	index := func(p []byte, slot uint32) int { // the index entry of a slot
		for i := range count {
			if entry := sig + superHeaderSize + i*indexEntrySize; be.Uint32(p[entry:]) == slot {
				return entry
			}
		}
		t.Fatalf("no slot %d", slot)
		return 0
	}
	part := func(p []byte, slot uint32) []byte {
		from := sig + int(be.Uint32(p[index(p, slot)+4:]))
		return p[from : from+int(be.Uint32(p[from+4:]))]
	}
	without := func(slots ...uint32) func(p []byte) []byte {
		return func(p []byte) []byte {
			return editSuperBlob(t, p, func(parts []indexed) []indexed {
				return slices.DeleteFunc(parts, func(i indexed) bool { return slices.Contains(slots, i.slot) })
			})
		}
	}
	with := func(more ...indexed) func(p []byte) []byte {
		return func(p []byte) []byte {
			return editSuperBlob(t, p, func(parts []indexed) []indexed { return append(parts, more...) })
		}
	}
	in := func(edit func(p []byte)) func(p []byte) []byte {
		return func(p []byte) []byte { edit(p); return p }
	}
	message := func(edit func(f *trusttest.Forgery)) func(p []byte) []byte {
		return func(p []byte) []byte { return editMessage(t, p, edit) }
	}
	otherPart := func(slot uint32) []byte {
		blobs, _, err := parseSuperBlob(other[place(t, other).offset:], magicSignature)
		if err != nil {
			t.Fatal(err)
		}
		return blobs[slices.IndexFunc(blobs, func(b blob) bool { return b.slot == slot })].data
	}

	for name, change := range map[string]func(p []byte) []byte{
		// The image.
		"a byte of code":                     in(func(p []byte) { p[0x1800] ^= 1 }),
		"the first byte of a page":           in(func(p []byte) { p[0x2000] ^= 0x80 }),
		"the last byte before the signature": in(func(p []byte) { p[sig-1] ^= 1 }),
		"the header's file type":             in(func(p []byte) { p[12] = 6 }),
		"the entry in the header's padding":  in(func(p []byte) { p[0x700] = 1 }),
		"two pages swapped": in(func(p []byte) {
			a := slices.Clone(p[0x1000:0x2000])
			copy(p[0x1000:], p[0x2000:0x3000])
			copy(p[0x2000:], a)
		}),
		"the architecture":                    in(func(p []byte) { put32(p, 4, amd64) }),
		"one load command less":               in(func(p []byte) { put32(p, atCommandCount, 1) }),
		"one load command more":               in(func(p []byte) { put32(p, atCommandCount, 4) }),
		"absurdly many load commands":         in(func(p []byte) { put32(p, atCommandCount, 0xffffffff) }),
		"absurdly large load commands":        in(func(p []byte) { put32(p, atCommandSize, 0xffffffff) }),
		"load commands beyond the file":       in(func(p []byte) { put32(p, atCommandSize, 0x10000) }),
		"a load command of no size":           in(func(p []byte) { put32(p, atText+4, 0) }),
		"a load command too long":             in(func(p []byte) { put32(p, atText+4, 0xfffffff8) }),
		"more sections than there are":        in(func(p []byte) { put32(p, atText+64, 1000) }),
		"absurdly many sections":              in(func(p []byte) { put32(p, atText+64, 0xffffffff) }),
		"__LINKEDIT by another name":          in(func(p []byte) { p[atLinkedit+8] = 'x' }),
		"__LINKEDIT twice":                    in(func(p []byte) { copy(p[atText+8:], "__LINKEDIT\x00") }),
		"__LINKEDIT ends early":               in(func(p []byte) { put64(p, atLinkedit+48, 0x80) }),
		"__LINKEDIT begins late":              in(func(p []byte) { put64(p, atLinkedit+40, uint64(sig+8)) }),
		"__LINKEDIT wraps around":             in(func(p []byte) { put64(p, atLinkedit+48, 1<<64-1) }),
		"the signature moved":                 in(func(p []byte) { put32(p, atCodeSign+8, uint32(sig+8)) }),
		"the signature beyond the end":        in(func(p []byte) { put32(p, atCodeSign+8, 0xfffffff0) }),
		"the signature's space shorter":       in(func(p []byte) { put32(p, atCodeSign+12, uint32(at.size-8)) }),
		"the signature's space longer":        in(func(p []byte) { put32(p, atCodeSign+12, uint32(at.size+8)) }),
		"an absurdly large signature":         in(func(p []byte) { put32(p, atCodeSign+12, 0xffffffff) }),
		"no space for a signature":            in(func(p []byte) { put32(p, atCodeSign+12, 0) }),
		"a signature command of another size": in(func(p []byte) { put32(p, atCodeSign+4, 24); put32(p, atCommandSize, be2(p)+8) }),
		"a second signature command": in(func(p []byte) {
			copy(p[atCodeSign+16:], p[atCodeSign:atCodeSign+16])
			put32(p, atCommandCount, 4)
			put32(p, atCommandSize, be2(p)+16)
		}),

		// The file.
		"a byte appended":          func(p []byte) []byte { return append(p, 0) },
		"a script appended":        func(p []byte) []byte { return append(p, "\n#!/bin/sh\nid\n"...) },
		"a second image appended":  func(p []byte) []byte { return append(p, p...) },
		"a byte cut off":           func(p []byte) []byte { return p[:len(p)-1] },
		"cut in the signature":     func(p []byte) []byte { return p[:sig+100] },
		"cut before the signature": func(p []byte) []byte { return p[:sig] },
		"cut in the code":          func(p []byte) []byte { return p[:0x1234] },
		"cut in the load commands": func(p []byte) []byte { return p[:64] },
		"cut in the header":        func(p []byte) []byte { return p[:20] },

		// The SuperBlob.
		"another magic":                in(func(p []byte) { be.PutUint32(p[sig:], 0xfade0cc1) }),
		"longer than its space":        in(func(p []byte) { be.PutUint32(p[sig+4:], uint32(at.size+1)) }),
		"shorter than its parts":       in(func(p []byte) { be.PutUint32(p[sig+4:], uint32(length-1)) }),
		"an absurd length":             in(func(p []byte) { be.PutUint32(p[sig+4:], 0xffffffff) }),
		"a length of nothing":          in(func(p []byte) { be.PutUint32(p[sig+4:], 0) }),
		"absurdly many parts":          in(func(p []byte) { be.PutUint32(p[sig+8:], 0xffffffff) }),
		"so many parts that they wrap": in(func(p []byte) { be.PutUint32(p[sig+8:], 0x20000000) }),
		"no parts":                     in(func(p []byte) { be.PutUint32(p[sig+8:], 0) }),
		"one part less":                in(func(p []byte) { be.PutUint32(p[sig+8:], uint32(count-1)) }),
		"a part twice":                 in(func(p []byte) { copy(p[index(p, slotEntitlements):], p[index(p, slotRequirements):][:8]) }),
		"a slot twice":                 in(func(p []byte) { be.PutUint32(p[index(p, slotEntitlements):], slotRequirements) }),
		"two parts in one place":       in(func(p []byte) { copy(p[index(p, slotEntitlements)+4:], p[index(p, slotRequirements)+4:][:4]) }),
		"two slots exchanged": in(func(p []byte) {
			a, b := index(p, slotEntitlements), index(p, slotRequirements)
			be.PutUint32(p[a:], slotRequirements)
			be.PutUint32(p[b:], slotEntitlements)
		}),
		"a part outside":                  in(func(p []byte) { be.PutUint32(p[index(p, slotCMS)+4:], uint32(length)) }),
		"a part far outside":              in(func(p []byte) { be.PutUint32(p[index(p, slotCMS)+4:], 0xfffffffc) }),
		"a part in the index":             in(func(p []byte) { be.PutUint32(p[index(p, slotCMS)+4:], 12) }),
		"a part too long":                 in(func(p []byte) { be.PutUint32(part(p, slotEntitlements)[4:], 0xffffffff) }),
		"a part too short":                in(func(p []byte) { be.PutUint32(part(p, slotEntitlements)[4:], 4) }),
		"a part that ends early":          in(func(p []byte) { q := part(p, slotEntitlements); be.PutUint32(q[4:], uint32(len(q)-4)) }),
		"a part for an unknown slot":      with(indexed{0x42, makeBlob(0xfade7777, []byte("data"))}),
		"a notarisation ticket":           with(indexed{0x10002, makeBlob(magicWrapper, []byte("ticket"))}),
		"a part that nothing covers":      with(indexed{slotConstraints, makeBlob(magicConstraint, []byte("constraint"))}),
		"a directory that nothing covers": with(indexed{slotAlternates, otherPart(slotDirectory)}),

		// Its parts.
		"the entitlements taken out":         without(slotEntitlements, slotEntitlementsD),
		"one form of entitlements taken out": without(slotEntitlementsD),
		"the requirements taken out":         without(slotRequirements),
		"the directory taken out":            without(slotDirectory),
		"the message taken out":              without(slotCMS),
		"the message emptied":                message(func(f *trusttest.Forgery) { f.Root = &trusttest.Node{ID: 0x30} }),
		"an entitlement changed":             in(func(p []byte) { q := part(p, slotEntitlements); q[len(q)/2] ^= 1 }),
		"another's entitlements": func(p []byte) []byte {
			return editSuperBlob(t, p, replace(slotEntitlements, makeBlob(magicEntitlements, plistOf("<key>com.apple.security.get-task-allow</key><true/>"))))
		},
		"another's requirements": func(p []byte) []byte {
			return editSuperBlob(t, p, replace(slotRequirements, otherPart(slotRequirements)))
		},
		"another's directory": func(p []byte) []byte { return editSuperBlob(t, p, replace(slotDirectory, otherPart(slotDirectory))) },
		"another's message":   func(p []byte) []byte { return editSuperBlob(t, p, replace(slotCMS, otherPart(slotCMS))) },
		"another's signature": func(p []byte) []byte {
			out := slices.Clone(p)
			copy(out[sig:], other[place(t, other).offset:])
			return out
		},
		"another identifier": in(func(p []byte) {
			q := part(p, slotDirectory)
			i := bytes.Index(q, []byte("com.example.tool"))
			q[i+12] = 'X'
		}),
		"another team":             in(func(p []byte) { q := part(p, slotDirectory); i := bytes.Index(q, []byte(trusttest.TeamID)); q[i] ^= 1 }),
		"the hardened runtime off": in(func(p []byte) { be.PutUint32(part(p, slotDirectory)[12:], 0) }),
		"ad hoc and no message": func(p []byte) []byte {
			be.PutUint32(part(p, slotDirectory)[12:], flagAdHoc|0x40000000)
			p[0x1800] ^= 1
			return without(slotCMS)(p)
		},
		"a page's hash": in(func(p []byte) { q := part(p, slotDirectory); q[len(q)-1] ^= 1 }),
		"a page and its hash": in(func(p []byte) {
			p[sig-1] ^= 1
			q := part(p, slotDirectory)
			d, _ := digestOf(2)
			copy(q[len(q)-32:], d.sum(p[sig&^0xfff:sig]))
		}),

		// The signer's message.
		"a JAR in an unsigned attribute": message(func(f *trusttest.Forgery) {
			// An end record alone: an empty archive.
			f.AddUnsigned(trusttest.OIDSigningTime, append([]byte{4, archive.EndSize}, append([]byte("PK\x05\x06"), make([]byte, archive.EndSize-4)...)...))
		}),
		"another certificate":       message(func(f *trusttest.Forgery) { replaceCertificate(t, f, trusttest.Stranger) }),
		"no certificates":           message(func(f *trusttest.Forgery) { f.Certificates().Children = nil }),
		"no signed attributes":      message(func(f *trusttest.Forgery) { f.Signer().Remove(3) }),
		"an attribute taken out":    message(func(f *trusttest.Forgery) { f.Signed().Remove(f.Find(oidAgility)) }),
		"an attribute twice":        message(func(f *trusttest.Forgery) { f.Signed().Add(f.Signed().At(0).Clone()) }),
		"the signer twice":          message(func(f *trusttest.Forgery) { f.Signers().Add(f.Signer().Clone()) }),
		"no signer":                 message(func(f *trusttest.Forgery) { f.Signers().Children = nil }),
		"a changed signature value": message(func(f *trusttest.Forgery) { f.Value().Body[9] ^= 1 }),
		"content of its own":        message(func(f *trusttest.Forgery) { f.Content().Add(trusttest.Tree([]byte{0xa0, 4, 4, 2, 'h', 'i'})) }),
		"signed by another's key":   message(func(f *trusttest.Forgery) { f.Resign(trusttest.New(t).Get(trusttest.Root), crypto.SHA256) }),
	} {
		t.Run(name, func(t *testing.T) {
			changed := change(slices.Clone(entitled))
			evidence := judge(t, anchors(t), changed)
			if len(evidence) == 0 {
				// The command that names the signature is not looked at any more.
				if name != "one load command less" {
					t.Error("it passes for a file that nobody signed")
				}
				return
			}
			if e := evidence[0]; e.Standing != core.Broken {
				t.Errorf("%v: %s", e.Standing, e.Reason)
			}
		})
	}
}

// be2 is the size of the load commands.
func be2(p []byte) uint32 { return binary.LittleEndian.Uint32(p[atCommandSize:]) }

func replace(slot uint32, data []byte) func(parts []indexed) []indexed {
	return func(parts []indexed) []indexed {
		for i := range parts {
			if parts[i].slot == slot {
				parts[i].data = data
			}
		}
		return parts
	}
}

func replaceCertificate(t *testing.T, f *trusttest.Forgery, name string) {
	t.Helper()
	f.Certificates().Children[0] = trusttest.Tree(trusttest.New(t).Get(name).Certificate.Raw)
}

// plistOf is a property list with what is inside its dictionary.
func plistOf(inside string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>` + inside + `</dict></plist>`)
}

// derTrue are DER entitlements with one that is true.
func derTrue(name string) []byte {
	pair := append([]byte{0x0c, byte(len(name))}, name...)
	pair = append(pair, 1, 1, 0xff)
	pair = append([]byte{0x30, byte(len(pair))}, pair...)
	body := append([]byte{2, 1, 1, 0xb0, byte(len(pair))}, pair...)
	return append([]byte{0x70, byte(len(body))}, body...)
}
