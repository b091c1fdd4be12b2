package httpapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

const maxBodyDepth = 32

// decodeBody reads a JSON object into the struct that into points to. A request without a body is an empty object.
//
// An attacker can bypass checks with a body that two parsers read differently. So duplicate members, invalid UTF-8, trailing bytes
// and deep nesting are rejected, and names are case-sensitive. Unknown members are ignored. The error is a *domain.InvalidInput
// with the member.
func decodeBody(c *fiber.Ctx, into any) error {
	// Not c.Body(), which would decompress a body beyond the limit.
	body := c.Request().Body()
	if len(body) == 0 {
		return nil
	}
	if err := checkShape(body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return invalidBody(err)
	}
	return nil
}

// decodeText reads a body with one required text member, and returns that member.
func decodeText(c *fiber.Ctx, member string) (text string, err error) {
	var body map[string]jsontext.Value
	if err := decodeBody(c, &body); err != nil {
		return "", err
	}
	if value := body[member]; value != nil {
		if err := json.Unmarshal(value, &text); err != nil {
			return "", prefixField(member, invalidBody(err))
		}
	}
	if text == "" {
		return "", requireMember(member, nil)
	}
	return text, nil
}

// requireJSON rejects a body that is not declared as JSON, even if no handler reads it: a page of any origin can send a form without
// a CORS preflight, but not JSON (OWASP, disallowing simple requests).
func requireJSON(c *fiber.Ctx) error {
	if len(c.Request().Body()) == 0 {
		return c.Next()
	}
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && encoding != "identity" {
		return fiber.ErrUnsupportedMediaType
	}
	contentType := c.Get(fiber.HeaderContentType)
	if contentType == fiber.MIMEApplicationJSON {
		return c.Next()
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != fiber.MIMEApplicationJSON {
		return fiber.ErrUnsupportedMediaType
	}
	// JSON is UTF-8 (RFC 8259, section 8.1). Another charset would be decoded wrongly.
	if charset, present := parameters["charset"]; present && !strings.EqualFold(charset, "utf-8") {
		return fiber.ErrUnsupportedMediaType
	}
	return c.Next()
}

// checkShape rejects everything but a JSON object, and nesting deeper than maxBodyDepth.
func checkShape(body []byte) error {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return domain.Invalid("", "invalid_json", "the body must be a JSON object")
	}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(body)) // which it reads without a copy
	for {
		_, err := decoder.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalidBody(err)
		}
		if decoder.StackDepth() > maxBodyDepth {
			return domain.Invalid(memberPath(decoder.StackPointer()), "too_deep", "the body is nested more than 32 levels deep")
		}
	}
}

func invalidBody(err error) error {
	var invalid *domain.InvalidInput
	if errors.As(err, &invalid) {
		// The error of a member's own UnmarshalJSON; the decoder knows the path.
		var semantic *json.SemanticError
		if errors.As(err, &semantic) {
			return domain.Invalid(memberPath(semantic.JSONPointer), invalid.Fields[0].Code, invalid.Fields[0].Message)
		}
		return invalid
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		return domain.Invalid(memberPath(semantic.JSONPointer), "wrong_type", "this member has the wrong type")
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return domain.Invalid(memberPath(syntactic.JSONPointer), "duplicate_member", "duplicate member: send it once")
		}
		return domain.Invalid(memberPath(syntactic.JSONPointer), "invalid_json", "the body is not valid JSON in UTF-8")
	}
	return domain.Invalid("", "invalid_json", "the body is not valid JSON in UTF-8")
}

// prefixField prefixes the field of an error with the member that was parsed separately.
func prefixField(member string, err error) error {
	var invalid *domain.InvalidInput
	if !errors.As(err, &invalid) {
		return err
	}
	path := member
	if inner := invalid.Fields[0].Field; inner != "" {
		path += "." + inner
	}
	return domain.Invalid(path, invalid.Fields[0].Code, invalid.Fields[0].Message)
}

// memberPath writes a JSON Pointer with dots: credential.response.signature. The path is truncated, since the client chooses the
// names.
func memberPath(p jsontext.Pointer) string {
	const maxLength = 128
	path := strings.Join(splitPointer(p), ".")
	if len(path) > maxLength {
		path = strings.ToValidUTF8(path[:maxLength], "")
	}
	return path
}

func splitPointer(p jsontext.Pointer) []string {
	var tokens []string
	for token := range p.Tokens() {
		tokens = append(tokens, token)
	}
	return tokens
}

// binary is a member in unpadded base64url. Padding and the standard alphabet are accepted, because some password managers send them.
// The unused bits at the end must be zero (RFC 4648, section 3.5).
type binary []byte

func (b *binary) UnmarshalText(text []byte) error {
	s := toURLAlphabet.Replace(strings.TrimRight(string(text), "="))
	if strings.ContainsAny(s, "\r\n") {
		return errInvalidBase64
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return errInvalidBase64
	}
	*b = decoded
	return nil
}

var toURLAlphabet = strings.NewReplacer("+", "-", "/", "_")

var errInvalidBase64 = domain.Invalid("", "invalid_base64", "this member must be base64url")
