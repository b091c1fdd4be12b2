package httpapi

import (
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// answerList answers with one page of a list. The member next_cursor is the id of its last item, and null on the last page.
func answerList[T any](c *fiber.Ctx, items []T, more bool, id func(T) string) error {
	page := struct {
		Items      []T     `json:"items"`
		NextCursor *string `json:"next_cursor"`
	}{Items: items}
	if more {
		page.NextCursor = optional(id(items[len(items)-1]))
	}
	return c.JSON(page)
}

func mapSlice[S ~[]T, T, U any](items S, convert func(T) U) []U {
	converted := make([]U, len(items))
	for i, item := range items {
		converted[i] = convert(item)
	}
	return converted
}

// notNil returns an empty list for nil, which would be null in JSON.
func notNil(list []string) []string { return append([]string{}, list...) }

const (
	defaultPageSize = 50
	maxPageSize     = 100
)

// parsePage returns the cursor and the limit of the query. A cursor is the id of the last item of the previous page; the API does not
// document this, so that it can change.
func parsePage[ID any](c *fiber.Ctx, parse func(string) (ID, error)) (after ID, limit int, err error) {
	limit = defaultPageSize
	if err := rejectDuplicateParams(c, "limit", "cursor"); err != nil {
		return after, 0, err
	}
	var badLimit, badCursor error
	if text := c.Query("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPageSize {
			badLimit = domain.Invalid("limit", "out_of_range", "request 1 to 100 items")
		}
	}
	if text := c.Query("cursor"); text != "" {
		if after, err = parse(text); err != nil {
			badCursor = domain.Invalid("cursor", "invalid_cursor", "send the next_cursor of the previous page")
		}
	}
	return after, limit, domain.JoinInvalid(badLimit, badCursor)
}

// rejectDuplicateParams rejects a parameter that occurs more than once in the query, which is ambiguous.
func rejectDuplicateParams(c *fiber.Ctx, names ...string) error {
	var invalid []error
	for _, name := range names {
		if len(c.Context().QueryArgs().PeekMulti(name)) > 1 {
			invalid = append(invalid, domain.Invalid(name, "duplicate_parameter", "duplicate parameter: send it once"))
		}
	}
	return domain.JoinInvalid(invalid...)
}
