package acceptance

import (
	"bytes"
	"slices"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

func invalidAssertions() []invalidCase {
	const (
		malformed = domain.ReasonMalformed
		signature = domain.ReasonSignatureInvalid
		handle    = domain.ReasonUserHandleMismatch
		none      = authenticator.Flags(0)
	)
	edited := func(step, name string, reason domain.Reason, change edit) invalidCase {
		return invalidCase{step: step, name: name, device: es256Only, edit: change, reason: reason}
	}
	listed := func(tc invalidCase) invalidCase {
		tc.byEmail = true
		return tc
	}
	unknown := edited("§7.2 step 6 (credential record)", "with an unknown id", "", func(credential, _ map[string]any) { credential["id"], credential["rawId"] = "AAAA", "AAAA" })
	unknown.code = "passkey_unknown"
	counting := func(name string, count uint32) invalidCase {
		return invalidCase{
			step: "§7.2 step 22 (signCount)", name: name, device: slices.Concat(es256Only, []authenticator.Option{authenticator.DeviceBound()}),
			forge: []authenticator.Variation{authenticator.ForgeSignCount(count)}, reason: domain.ReasonCounterRegressed,
		}
	}
	deviceBound := func(tc invalidCase) invalidCase {
		tc.device = slices.Concat(es256Only, []authenticator.Option{authenticator.DeviceBound()})
		return tc
	}
	unverified := forgedCase("§7.2 step 17 (UV)", "not set", domain.ReasonUserVerificationMissing, authenticator.ForgeFlags(none, userVerified))
	unverified.code = "user_verification_required"
	tooLong := edited("§7.2 step 6 (credential record)", "an id of 1024 bytes", malformed, func(credential, _ map[string]any) {
		long := authenticator.Base64URL(make([]byte, 1024)).String()
		credential["id"], credential["rawId"] = long, long
	})
	tooLong.noAccount = true
	return []invalidCase{
		unknown,
		listed(edited("§7.2 step 5 (allowCredentials)", "another user's passkey", handle, copyFromOther("id", "rawId", "response.authenticatorData", "response.signature", "response.userHandle", "response.clientDataJSON"))),
		edited("§7.2 step 6 (user handle)", "another user's", handle, copyFromOther("response.userHandle")),
		edited("§7.2 step 6 (user handle)", "missing", handle, drop("response.userHandle")),
		edited("§7.2 step 6 (user handle)", "null", handle, set("response.userHandle", nil)),
		edited("§7.2 step 6 (user handle)", "empty", handle, set("response.userHandle", "")),
		edited("§7.2 step 6 (user handle)", "of an unknown user", handle, set("response.userHandle", "AAAA")),
		edited("§7.2 step 6 (user handle)", "too long", handle, set("response.userHandle", authenticator.Base64URL(make([]byte, 65)).String())),
		listed(edited("§7.2 step 6 (user handle)", "another user's, with a list", handle, copyFromOther("response.userHandle"))),
		edited("§7.2 step 6 (credential record)", "another user's id", handle, copyFromOther("id", "rawId")),
		edited("§7.2 step 6 (credential record)", "another user's id and user handle", signature, copyFromOther("id", "rawId", "response.userHandle")),
		tooLong,

		forgedCase("§7.2 step 15 (rpIdHash)", "another", domain.ReasonRPIDMismatch, authenticator.ForgeRPID("evil.example")),
		{
			step: "§7.2 step 15 (rpIdHash)", name: "of an AppID, with the appid output true", device: es256Only,
			forge: []authenticator.Variation{authenticator.ForgeRPID("http://localhost")}, edit: set("clientExtensionResults", map[string]any{"appid": true}), reason: domain.ReasonRPIDMismatch,
		},
		forgedCase("§7.2 step 15 (rpIdHash)", "of the origin", domain.ReasonRPIDMismatch, authenticator.ForgeRPID("http://localhost")),
		forgedCase("§7.2 step 16 (UP)", "not set", domain.ReasonUserPresenceMissing, authenticator.ForgeFlags(none, userPresent)),
		unverified,
		forgedCase("§7.2 step 18 (BS)", "set without BE", domain.ReasonBackupStateInvalid, authenticator.ForgeFlags(backedUp, backupEligible), authenticator.ForgeFlags(backupEligible, backedUp)),
		forgedCase("§7.2 step 19 (BE)", "changed to not set", domain.ReasonBackupEligibilityChanged, authenticator.ForgeFlags(none, backupEligible|backedUp)),
		deviceBound(forgedCase("§7.2 step 19 (BE)", "changed to set", domain.ReasonBackupEligibilityChanged, authenticator.ForgeFlags(backupEligible, none))),

		forgedCase("§6.1", "authenticatorData of 36 bytes", malformed, truncateData(36)),
		forgedCase("§6.1", "a byte after authenticatorData", malformed, withExtensionData(none, 0)),
		forgedCase("§6.1", "ED set without extensions", malformed, authenticator.ForgeFlags(extensionData, none), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "ED not set, with extensions", malformed, withExtensionData(none, 0xa0), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "extensions an array", malformed, withExtensionData(extensionData, 0x80), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "a byte after the extensions", malformed, withExtensionData(extensionData, 0xa0, 0), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "AT set without attested data", malformed, authenticator.ForgeFlags(attestedData, none)),
		forgedCase("§6.1", "AT set, with another credential's attested data", malformed, authenticator.ForgeAuthenticatorData(func(data []byte) []byte {
			data[32] |= byte(attestedData)
			return append(append(append(data, make([]byte, 17)...), 1, 7), 0xa1, 0x01, 0x02)
		})),

		forgedCase("§7.2 step 21 (signature)", "with a bit changed", signature, authenticator.ForgeSignature(flipLastBit)),
		forgedCase("§7.2 step 21 (signature)", "with an extra byte", signature, authenticator.ForgeSignature(func(s []byte) []byte { return append(bytes.Clone(s), 0) })),
		forgedCase("§7.2 step 21 (signature)", "truncated", signature, authenticator.ForgeSignature(func(s []byte) []byte { return s[:len(s)-1] })),
		forgedCase("§7.2 step 21 (signature)", "of zeros", signature, authenticator.ForgeSignature(func(s []byte) []byte { return make([]byte, len(s)) })),
		forgedCase("§7.2 step 21 (signature)", "not in DER", signature, authenticator.ForgeSignature(func([]byte) []byte { return bytes.Repeat([]byte{1}, 64) })),
		edited("§7.2 step 21 (signature)", "by another user's key", signature, copyFromOther("response.signature")),
		edited("§7.2 step 21 (signature)", "for other authenticatorData", signature, func(credential, _ map[string]any) {
			response := credential["response"].(map[string]any)
			data := decode64(response["authenticatorData"].(string))
			data[36]++
			response["authenticatorData"] = authenticator.Base64URL(data).String()
		}),
		edited("§7.2 step 21 (signature)", "for other clientDataJSON", signature, func(credential, _ map[string]any) {
			response := credential["response"].(map[string]any)
			data := decode64(response["clientDataJSON"].(string))
			response["clientDataJSON"] = authenticator.Base64URL(append([]byte(" "), data...)).String()
		}),

		counting("the same as at registration", 1),
		counting("zero", 0),
	}
}

func decode64(text string) []byte {
	var b authenticator.Base64URL
	if err := b.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return b
}
