//! Changes values in a TOML text and nothing else: comments, order and layout stay. Text in, text out.

use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use toml_edit::DocumentMut;
use toml_edit::Item;
use toml_edit::Value;

/// `text` with other strings at these keys, which it must have.
pub(super) fn values(text: &str, changes: &[(Vec<&str>, String)]) -> Result<String> {
    let mut document: DocumentMut = text.parse().context("parsing TOML")?;
    for (key, new) in changes {
        let value = key
            .iter()
            .try_fold(document.as_item_mut(), |item: &mut Item, name| item.get_mut(name))
            .and_then(Item::as_value_mut)
            .ok_or_else(|| anyhow!("there is no value '{}'", key.join(".")))?;
        let around = value.decor().clone();
        *value = Value::from(new.as_str());
        *value.decor_mut() = around;
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_values_and_leaves_the_rest() {
        let text = "# head\n\n[a]   # table\nversion   =  \"1\"  # why\nother = 'x'\n[a.sha256]\narm64 = \"12\"\n# end";
        let changes = [
            (vec!["a", "version"], "2".to_owned()),
            (vec!["a", "sha256", "arm64"], "34".to_owned()),
        ];
        assert_eq!(
            values(text, &changes).unwrap(),
            text.replace("\"1\"", "\"2\"").replace("\"12\"", "\"34\"")
        );
    }

    #[test]
    fn refuses_what_is_not_there() {
        for key in [vec!["b"], vec!["a", "c"], vec!["a"]] {
            let error = values("[a]\nb = \"1\"\n", &[(key.clone(), String::new())]).unwrap_err();
            assert_eq!(error.to_string(), format!("there is no value '{}'", key.join(".")));
        }
    }
}
