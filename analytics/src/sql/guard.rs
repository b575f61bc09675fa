//! What is let through to the planner: one statement, of bounded length and depth, that only reads.
//!
//! The planner and the expressions it makes are trees walked by recursion; a text of a few kilobytes
//! (`1+1+1+…`, `t, t, t, …`) can make one deep enough to overflow a stack, which would end the process. So
//! depth is bounded here, before any tree is built, and worker threads have a stack that carries the bound.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{Statement as SqlStatement, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::error::{QueryError, nearest};

/// Operators (`AND`, `+`, `::`, `UNION` …) in one query.
const MAX_OPERATORS: usize = 500;
/// Tables named in one query, with repetition.
const MAX_RELATIONS: usize = 50;
/// Names joined by dots.
const MAX_DOTS: usize = 16;

/// Reads the one statement of a query.
pub(super) fn parse(sql: &str, max_bytes: usize) -> Result<Statement, QueryError> {
    check("bytes", sql.len(), max_bytes, "give long lists as a join, or in several queries")?;
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize().map_err(|error| QueryError::Syntax(error.to_string()))?;
    let (operators, dots) = depth(&tokens);
    check("operators", operators, MAX_OPERATORS, "write long chains of OR as `IN (…)`")?;
    check("names joined by dots", dots, MAX_DOTS, "no column is nested that deep")?;

    let mut statements =
        DFParser::parse_sql_with_dialect(sql, &dialect).map_err(|error| QueryError::Syntax(root(&error)))?;
    let found = statements.len();
    let statement = match statements.pop_front() {
        Some(statement) if found == 1 => statement,
        _ => return Err(QueryError::Statements { found }),
    };
    let mut relations = 0;
    if let Statement::Statement(statement) = innermost(&statement) {
        let _ = visit_relations(statement.as_ref(), |_| {
            relations += 1;
            ControlFlow::<()>::Continue(())
        });
    }
    check("tables", relations, MAX_RELATIONS, "join fewer")?;
    Ok(statement)
}

fn innermost(statement: &Statement) -> &Statement {
    match statement {
        Statement::Explain(explain) => innermost(&explain.statement),
        other => other,
    }
}

fn root(error: &datafusion::error::DataFusionError) -> String {
    match error.find_root() {
        datafusion::error::DataFusionError::SQL(detail, _) => detail.to_string(),
        other => other.strip_backtrace(),
    }
}

fn check(what: &'static str, found: usize, limit: usize, advice: &'static str) -> Result<(), QueryError> {
    if found > limit { Err(QueryError::TooComplex { what, found, limit, advice }) } else { Ok(()) }
}

/// An upper bound of the depth of any tree made from these tokens, parentheses aside (the parser bounds
/// those): the number of operators, and the longest run of dots.
fn depth(tokens: &[Token]) -> (usize, usize) {
    let (mut operators, mut dots, mut run) = (0, 0, 0);
    for token in tokens {
        match token {
            Token::Period => {
                run += 1;
                dots = dots.max(run);
                continue;
            }
            Token::Word(word) => {
                operators += usize::from(is_operator(word.keyword));
                continue;
            }
            Token::Whitespace(_) => continue,
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
            | Token::Comma
            | Token::LParen
            | Token::RParen
            | Token::SemiColon
            | Token::EOF => {}
            _ => operators += 1,
        }
        run = 0;
    }
    (operators, dots)
}

const fn is_operator(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::DIV
            | Keyword::AT
            | Keyword::COLLATE
            | Keyword::UNION
            | Keyword::INTERSECT
            | Keyword::EXCEPT
            | Keyword::JOIN
            | Keyword::CASE
            | Keyword::EXPLAIN
    )
}

/// Says which table a query misses, before the planner says less. Other statements name tables that need
/// not exist; what they would do is refused later.
pub(super) fn check_tables(state: &SessionState, statement: &Statement, known: &[String]) -> Result<(), QueryError> {
    let is_query = match innermost(statement) {
        Statement::Statement(statement) => {
            matches!(statement.as_ref(), SqlStatement::Query(_) | SqlStatement::ExplainTable { .. })
        }
        _ => false,
    };
    if !is_query {
        return Ok(());
    }
    let references =
        state.resolve_table_references(statement).map_err(|error| QueryError::Plan(error.strip_backtrace()))?;
    for reference in references {
        let is_ours = match &reference {
            TableReference::Bare { .. } => true,
            TableReference::Partial { schema, .. } => schema.as_ref() == super::engine::SCHEMA,
            TableReference::Full { .. } => false,
        };
        let is_function = state.table_functions().contains_key(reference.table());
        if is_ours && !is_function && !known.iter().any(|name| name == reference.table()) {
            return Err(QueryError::UnknownTable {
                name: reference.table().to_owned(),
                nearest: nearest(reference.table(), known.iter().map(String::as_str)),
                known: known.to_vec(),
            });
        }
    }
    Ok(())
}

/// Refuses every plan that would do more than read.
pub(super) fn only_reads(plan: &LogicalPlan) -> Result<(), QueryError> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|error| QueryError::ReadOnly(error.strip_backtrace()))
}
